//! One case for each error of each verb.

use std::future::{Future, IntoFuture};
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use ctnetlink::testing::{Kernel, RequestFault};
use ctnetlink::{
    Change, ConntrackHandle, Error, EventKinds, ExpectationPolicy, Family, Filter, Labels, Masked,
    NewExpectation, NewFlow, Patch, Protocol, Report, Result, Status, Table, TcpState, TcpTimeouts,
    TimeoutPolicy, Timeouts, Tuple, TupleMask, TwoWayTimeouts, UserHelper, UserHelperKey,
};

use crate::{new, tcp, udp};

/// The error of a request that fails.
type Failure = Pin<Box<dyn Future<Output = Option<Error>>>>;

pub(super) struct Case {
    pub(super) of: &'static str,
    pub(super) verb: &'static str,
    pub(super) kind: &'static str,
    pub(super) fails: fn() -> Failure,
}

/// Errors that the fake kernel does not make, and the tests on the real kernel that cover them.
pub(super) const ON_THE_REAL_KERNEL: [(&str, &str, &str, &str, &str); 9] = {
    const POLICIES: &str = include_str!("../../kernel/beside/timeouts.rs");
    const OFFLOADED: &str = include_str!("../../kernel/offloaded.rs");
    const BESIDE: &str = include_str!("../../kernel/bulk/beside.rs");
    const HELPERS: &str = include_str!("../../kernel/beside/user_helpers.rs");
    const RIGHT: &str = include_str!("../../kernel/lanes/right.rs");
    const HANDLE: &str = "ConntrackHandle";
    let in_use = "one_that_a_rule_uses_is_kept";
    let no_file = "without_a_file_descriptor_nothing_begins";
    let closed = "nothing_begins_on_a_closed_connection";
    let denied = "lost_before_the_namespace_is_entered";
    [
        (
            "TimeoutPolicies",
            "delete",
            "Busy",
            "one_that_a_rule_uses",
            POLICIES,
        ),
        ("UserHelpers", "delete", "Busy", in_use, HELPERS),
        (
            HANDLE,
            "delete",
            "Busy",
            "shown_marked_and_deleted",
            OFFLOADED,
        ),
        (HANDLE, "bulk", "Io", no_file, BESIDE),
        (HANDLE, "get_many", "Io", no_file, BESIDE),
        (HANDLE, "bulk", "Closed", closed, BESIDE),
        (HANDLE, "get_many", "Closed", closed, BESIDE),
        (HANDLE, "bulk", "PermissionDenied", denied, RIGHT),
        (HANDLE, "get_many", "PermissionDenied", denied, RIGHT),
    ]
};

macro_rules! cases {
    ($($of:ident::$verb:ident $kind:ident: $fails:expr;)+) => {
        pub(super) fn all() -> impl Iterator<Item = Case> {
            [$(Case {
                of: stringify!($of),
                verb: stringify!($verb),
                kind: stringify!($kind),
                fails: || Box::pin($fails),
            }),+].into_iter()
        }
    };
}

cases! {
    ConntrackHandle::ConntrackHandle PermissionDenied: met(RequestFault::Denied);
    ConntrackHandle::ConntrackHandle Timeout: not_polled();
    ConntrackHandle::ConntrackHandle Closed: closed();
    ConntrackHandle::ConntrackHandle Overrun: met(RequestFault::Overrun);
    ConntrackHandle::ConntrackHandle Decode: undecodable();
    ConntrackHandle::ConntrackHandle Io: listed(RequestFault::NoMemory);

    ConntrackHandle::list InvalidInput: of(|it| it.list(Table::Conntrack).family(Family::Ipv6).filter(ipv4()));
    ConntrackHandle::create InvalidInput: of(|it| it.create(new(1).tcp_state(TcpState::CLOSE)));
    ConntrackHandle::create AlreadyExists: with(new(1), |it| it.create(new(1)));
    ConntrackHandle::create NotFound: of(|it| it.create(new(1).master(udp(2))));
    ConntrackHandle::create Unsupported: of(|it| it.create(new(1).helper("none")));
    ConntrackHandle::create TableFull: full();
    ConntrackHandle::update InvalidInput: of(|it| it.update(udp(1)));
    ConntrackHandle::update NotFound: of(|it| it.update(udp(1)).mark(1));
    ConntrackHandle::update LabelsUnavailable: with(new(1), |it| it.update(udp(1)).labels(label()));
    ConntrackHandle::update Busy: with(new(1).helper("tftp"), |it| it.update(udp(1)).helper("sip"));
    ConntrackHandle::update Unsupported: with(new(1), |it| it.update(udp(1)).helper("none"));
    ConntrackHandle::update PermissionDenied: with(
        new(1).status(Status::FIXED_TIMEOUT),
        |it| it.update(udp(1)).timeout(secs(1)),
    );
    ConntrackHandle::set_labels LabelsUnavailable: with(new(1), |it| it.set_labels(udp(1), label()));
    ConntrackHandle::delete NotFound: of(|it| it.delete(udp(1)));
    ConntrackHandle::flush InvalidInput: of(|it| it.flush(Table::Dying));
    ConntrackHandle::events InvalidInput: of(|it| it.events().kinds(EventKinds::empty()));
    ConntrackHandle::events PermissionDenied: denied(|it| it.events());

    ConntrackHandle::bulk InvalidInput: failed(|it| it.bulk([Change::update(udp(1), Patch::new())]));
    ConntrackHandle::restore NotFound: failed(|it| it.restore([new(1).master(udp(2))]));
    ConntrackHandle::delete_matching InvalidInput: of(|it| it.delete_matching(Filter::default()));
    ConntrackHandle::update_matching InvalidInput: of(|it| it.update_matching(ipv4(), Patch::new()));

    Expectations::list InvalidInput: of(|it| it.expectations().list().family(Family::Ipv6).master(tcp(1)));
    Expectations::list NotFound: of(|it| it.expectations().list().master(tcp(1)));
    Expectations::create InvalidInput: of(|it| it.expectations().create(expected(1).function("")));
    Expectations::create NotFound: of(|it| it.expectations().create(expected(1)));
    Expectations::create Unsupported: with(
        NewFlow::new(tcp(1), secs(60)),
        |it| it.expectations().create(expected(1)),
    );
    Expectations::create AlreadyExists: twice(expected(1));
    Expectations::create Busy: overlapping();
    Expectations::create TableFull: too_many();
    Expectations::update InvalidInput: of(|it| it.expectations().update(data(1), secs(4_294_968)));
    Expectations::update NotFound: of(|it| it.expectations().update(data(1), secs(1)));
    Expectations::delete NotFound: of(|it| it.expectations().delete(data(1)));
    Expectations::flush InvalidInput: of(|it| it.expectations().flush().helper(""));

    TimeoutPolicies::get InvalidInput: of(|it| it.timeouts().get(""));
    TimeoutPolicies::create InvalidInput: of(|it| it.timeouts().create(policy("", 1)));
    TimeoutPolicies::create AlreadyExists: async {
        let handle = Kernel::new().connect();
        handle.timeouts().create(policy("p", 1)).await.expect("a policy");
        error(handle.timeouts().create(policy("p", 2))).await
    };
    TimeoutPolicies::update InvalidInput: async {
        let handle = Kernel::new().connect();
        handle.timeouts().create(policy("p", 1)).await.expect("a policy");
        error(handle.timeouts().update("p", TcpTimeouts::new().close(secs(1)))).await
    };
    TimeoutPolicies::update NotFound: of(|it| it.timeouts().update("p", TcpTimeouts::new().close(secs(1))));
    TimeoutPolicies::delete InvalidInput: of(|it| it.timeouts().delete(""));
    TimeoutPolicies::delete NotFound: of(|it| it.timeouts().delete("p"));
    TimeoutPolicies::set_defaults InvalidInput: of(
        |it| it.timeouts().set_defaults(TcpTimeouts::new().close(secs(4_294_968))),
    );

    TimeoutPolicies::TimeoutPolicies Unsupported: async {
        let kernel = Kernel::release("6.18").expect("a release").without_timeout_policies();
        error(kernel.build().connect().timeouts().list()).await
    };
    UserHelpers::UserHelpers Unsupported: async {
        let kernel = Kernel::release("6.18").expect("a release").without_user_helpers();
        error(kernel.build().connect().user_helpers().list()).await
    };
    UserHelpers::UserHelpers PermissionDenied: denied(|it| it.user_helpers().list());
    UserHelpers::get InvalidInput: of(
        |it| it.user_helpers().get(UserHelperKey::new("", Family::Ipv4, Protocol::UDP)),
    );
    UserHelpers::create InvalidInput: of(|it| it.user_helpers().create(user_helper("")));
    UserHelpers::create AlreadyExists: used(|it| it.user_helpers().create(user_helper("mine")));
    UserHelpers::create Busy: of(|it| it.user_helpers().create(user_helper("tftp")));
    UserHelpers::update InvalidInput: of(|it| it.user_helpers().update(user_helper("")));
    UserHelpers::update NotFound: of(|it| it.user_helpers().update(user_helper("mine")));
    UserHelpers::update Busy: used(|it| {
        let other = ExpectationPolicy::new("other", 1, secs(300));
        it.user_helpers().update(UserHelper::new("mine", Family::Ipv4, Protocol::UDP, [other]))
    });
    UserHelpers::delete InvalidInput: of(
        |it| it.user_helpers().delete(UserHelperKey::new("", Family::Ipv4, Protocol::UDP)),
    );
    UserHelpers::delete NotFound: of(|it| it.user_helpers().delete(&user_helper("mine")));
}

async fn error<T>(request: impl IntoFuture<Output = Result<T>>) -> Option<Error> {
    request.await.err()
}

/// The error of a request to an empty table.
async fn of<T, F: IntoFuture<Output = Result<T>>>(
    request: impl Fn(&ConntrackHandle) -> F,
) -> Option<Error> {
    error(request(&Kernel::new().connect())).await
}

/// The error of a request to a table that has this flow.
async fn with<T, F>(flow: NewFlow, request: impl Fn(&ConntrackHandle) -> F) -> Option<Error>
where
    F: IntoFuture<Output = Result<T>>,
{
    let handle = Kernel::new().connect();
    handle.create(flow).await.expect("a flow");
    error(request(&handle)).await
}

/// The error of a request while a flow uses the helper "mine".
async fn used<T, F: IntoFuture<Output = Result<T>>>(
    request: impl Fn(&ConntrackHandle) -> F,
) -> Option<Error> {
    let handle = Kernel::new().connect();
    let made = handle.user_helpers().create(user_helper("mine")).await;
    made.expect("a helper");
    let flow = handle.create(new(1).helper("mine")).await;
    flow.expect("a flow");
    error(request(&handle)).await
}

/// The error of a request after the right was lost.
async fn denied<T, F>(request: impl Fn(&ConntrackHandle) -> F) -> Option<Error>
where
    F: IntoFuture<Output = Result<T>>,
{
    let kernel = Kernel::new();
    let handle = kernel.connect();
    kernel.on_request(0, RequestFault::Denied);
    error(handle.get(udp(1))).await;
    error(request(&handle)).await
}

async fn met(fault: RequestFault) -> Option<Error> {
    let kernel = Kernel::new();
    let handle = kernel.connect();
    kernel.on_request(0, fault);
    error(handle.create(new(1))).await
}

async fn listed(fault: RequestFault) -> Option<Error> {
    let kernel = Kernel::new();
    let handle = kernel.connect();
    kernel.on_request(0, fault);
    error(handle.list(Table::Conntrack)).await
}

async fn not_polled() -> Option<Error> {
    let (_connection, handle) = ctnetlink::Options::new()
        .kernel(&Kernel::new())
        .new_connection()
        .expect("a connection");
    error(handle.get(udp(1))).await
}

async fn closed() -> Option<Error> {
    let kernel = Kernel::new();
    let (connection, handle) = ctnetlink::Options::new()
        .kernel(&kernel)
        .new_connection()
        .expect("a connection");
    drop(connection);
    error(handle.get(udp(1))).await
}

async fn undecodable() -> Option<Error> {
    let kernel = Kernel::new();
    let handle = kernel.connect();
    handle.create(new(1)).await.expect("a flow");
    // The first attribute claims to be longer than the message.
    kernel.tamper(|datagram| datagram[20] = 0xff);
    error(handle.get(udp(1))).await
}

async fn full() -> Option<Error> {
    let kernel = Kernel::release("6.18").expect("a release").max_flows(1);
    let handle = kernel.build().connect();
    let assured = new(1).status(Status::SEEN_REPLY | Status::ASSURED);
    handle.create(assured).await.expect("a flow");
    error(handle.create(new(2))).await
}

async fn failed<F: IntoFuture<Output = Result<Report>>>(
    bulk: impl Fn(&ConntrackHandle) -> F,
) -> Option<Error> {
    let report = bulk(&Kernel::new().connect()).await.expect("a report");
    report.into_result().err()
}

async fn overlapping() -> Option<Error> {
    let handle = Kernel::new().connect();
    for n in [1, 2] {
        let master = NewFlow::new(tcp(n), secs(60)).helper("ftp");
        handle.create(master).await.expect("a master");
    }
    let made = handle.expectations().create(expected(1)).await;
    made.expect("an expectation");
    let (from, to) = ([10, 9, 9, 9].into(), data(1).dst());
    let wide = Tuple::tcp(SocketAddr::new(from, 0), SocketAddr::new(to, 10_000));
    let wide = wide.expect("one family");
    let any = TupleMask::new(&wide, "0.0.0.0".parse().expect("bits"), 0);
    let new = NewExpectation::new(tcp(2), wide).mask(any.expect("a mask"));
    error(handle.expectations().create(new)).await
}

async fn too_many() -> Option<Error> {
    let kernel = Kernel::release("6.18").expect("a release");
    let handle = kernel.max_expectations(1).build().connect();
    for n in [1, 2] {
        let master = NewFlow::new(tcp(n), secs(60)).helper("ftp");
        handle.create(master).await.expect("a master");
    }
    let made = handle.expectations().create(expected(1)).await;
    made.expect("an expectation");
    error(handle.expectations().create(expected(2))).await
}

async fn twice(expected: NewExpectation) -> Option<Error> {
    let handle = Kernel::new().connect();
    let master = NewFlow::new(tcp(1), secs(60)).helper("ftp");
    handle.create(master).await.expect("a master");
    let made = handle.expectations().create(expected.clone()).await;
    made.expect("an expectation");
    error(handle.expectations().create(expected)).await
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn ipv4() -> Filter {
    Filter::builder()
        .family(Family::Ipv4)
        .build()
        .expect("a filter")
}

fn label() -> Masked<Labels> {
    Labels::bit(3).expect("a bit").into()
}

/// The tuple that the flow `tcp(n)` can expect.
fn data(n: u16) -> Tuple {
    let control = tcp(n);
    let (from, to) = (
        SocketAddr::new(control.dst(), 0),
        SocketAddr::new(control.src(), 10_000),
    );
    Tuple::tcp(from, to).expect("one family")
}

fn expected(n: u16) -> NewExpectation {
    NewExpectation::new(tcp(n), data(n))
}

fn policy(name: &str, unreplied: u64) -> TimeoutPolicy {
    let timeouts = TwoWayTimeouts::new().unreplied(secs(unreplied));
    TimeoutPolicy::new(name, Family::Ipv4, Timeouts::Udp(timeouts))
}

fn user_helper(name: &str) -> UserHelper {
    let policy = ExpectationPolicy::new("data", 1, secs(300));
    UserHelper::new(name, Family::Ipv4, Protocol::UDP, [policy]).queue(1)
}
