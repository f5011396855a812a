//! Which verbs work.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ctnetlink::{
    Change, ConntrackHandle, ErrorKind, Family, Filter, Flow, FlowKey, Labels, Masked, NewFlow,
    Patch, Report, Result as Answer, Table, Tuple,
};
use futures::{TryStreamExt, stream};
use libtest_mimic::Trial;

use crate::place::{Level, Place};
use crate::support::namespace::{block_on, isolated};
use crate::support::nft;
use crate::trial;

const HOUR: Duration = Duration::from_secs(3600);
/// If the tests share a table, they run one after the other.
static TURN: Mutex<()> = Mutex::new(());

macro_rules! verbs {
    ($place:ident: $($verb:ident,)+) => {
        vec![$(verb(concat!("verbs::", stringify!($verb)), $place, $verb),)+]
    };
}

pub(crate) fn tests(place: Place) -> Vec<Trial> {
    if !place.administers() {
        return vec![trial("verbs::none", || {
            block_on(async { denied(ctnetlink::connect().await.map(drop)) });
            Ok(())
        })];
    }
    verbs![place:
        list,
        get,
        create,
        update,
        set_mark,
        set_labels,
        delete,
        flush,
        flush_by_a_filter,
        bulk,
        bulk_stream,
        delete_matching,
        update_matching,
        get_many,
        get_many_stream,
    ]
}

fn verb<F>(name: &str, place: Place, verb: fn(ConntrackHandle) -> F) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    let run = move || {
        block_on(async { verb(ctnetlink::connect().await.expect("a connection")).await });
    };
    trial(name, move || match place.level {
        Level::NetAdmin if !place.own => Err(
            "it would change the table of a network namespace that others may use; \
             CTNETLINK_LEVEL=net-admin says that none does"
                .into(),
        ),
        Level::NetAdmin => {
            let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
            run();
            Ok(())
        }
        _ => {
            isolated(run);
            Ok(())
        }
    })
}

/// The answer must name the missing right.
#[track_caller]
pub(crate) fn denied(answer: Answer<()>) {
    let error = answer.expect_err("an answer, without the right to one");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
}

fn tuple(source: &str, destination: &str) -> Tuple {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    Tuple::udp(address(source), address(destination)).expect("one family")
}

fn v4() -> Tuple {
    tuple("192.0.2.1:4000", "192.0.2.2:53")
}

fn v6() -> Tuple {
    tuple("[2001:db8::1]:4000", "[2001:db8::2]:53")
}

pub(crate) async fn leave_a_flow(handle: &ConntrackHandle) {
    let created = handle.create(NewFlow::new(v4(), HOUR).mark(1)).await;
    created.expect("a flow");
}

pub(crate) async fn has_the_flow(handle: &ConntrackHandle) -> bool {
    handle.get(v4()).await.expect("an answer").is_some()
}

/// The flow as it is in the table.
async fn got(handle: &ConntrackHandle) -> Flow {
    let flow = handle.get(v4()).await.expect("an answer");
    flow.expect("the flow")
}

async fn clean(handle: &ConntrackHandle) {
    handle.delete(v4()).await.expect("a delete");
}

async fn list(handle: ConntrackHandle) {
    leave_a_flow(&handle).await;
    let flows = handle.list(Table::Conntrack).await.expect("a list");
    let flows: Vec<_> = flows.try_collect().await.expect("flows");
    assert!(flows.iter().any(|flow| flow.orig == v4()), "{flows:?}");
    clean(&handle).await;
}

async fn get(handle: ConntrackHandle) {
    leave_a_flow(&handle).await;
    assert_eq!(got(&handle).await.mark, Some(1));
    clean(&handle).await;
}

async fn create(handle: ConntrackHandle) {
    leave_a_flow(&handle).await;
    let again = handle.create(NewFlow::new(v4(), HOUR)).await;
    assert!(again.is_err_and(|error| error.is_already_exists()));
    clean(&handle).await;
}

async fn update(handle: ConntrackHandle) {
    leave_a_flow(&handle).await;
    let updated = handle.update(v4()).timeout(Duration::from_secs(60)).await;
    updated.expect("an update");
    let timeout = got(&handle).await.timeout.expect("a timeout");
    assert!(timeout <= Duration::from_secs(60), "{timeout:?}");
    clean(&handle).await;
}

async fn set_mark(handle: ConntrackHandle) {
    leave_a_flow(&handle).await;
    let marked = handle.set_mark(v4(), Masked::new(0x20, 0xf0)).await;
    marked.expect("a mark");
    assert_eq!(got(&handle).await.mark, Some(0x21));
    clean(&handle).await;
}

/// With the rule that makes room for them, which needs the same right.
async fn set_labels(handle: ConntrackHandle) {
    let rule = nft::labels().expect("a rule");
    leave_a_flow(&handle).await;
    let labels = Labels::bit(100).expect("a label");
    handle.set_labels(v4(), labels).await.expect("labels");
    assert_eq!(got(&handle).await.labels, Some(labels));
    clean(&handle).await;
    rule.delete().expect("no rule");
}

async fn delete(handle: ConntrackHandle) {
    leave_a_flow(&handle).await;
    clean(&handle).await;
    let again = handle.delete(v4()).await;
    assert!(again.is_err_and(|error| error.is_not_found()));
}

async fn flush(handle: ConntrackHandle) {
    leave_a_flow(&handle).await;
    let created = handle.create(NewFlow::new(v6(), HOUR)).await;
    created.expect("a flow");
    let flush = handle.flush(Table::Conntrack).family(Family::Ipv6);
    flush.await.expect("a flush");
    assert!(handle.get(v6()).await.expect("an answer").is_none());
    assert!(has_the_flow(&handle).await);
    handle.flush(Table::Conntrack).await.expect("a flush");
    assert!(!has_the_flow(&handle).await);
}

/// Leaves the IPv4 flow with mark 1, and an IPv6 flow without a mark.
async fn leave_two_flows(handle: &ConntrackHandle) {
    leave_a_flow(handle).await;
    let created = handle.create(NewFlow::new(v6(), HOUR)).await;
    created.expect("a flow");
}

/// Checks that only the IPv6 flow is left, and removes it.
async fn clean_the_other(handle: &ConntrackHandle) {
    assert!(!has_the_flow(handle).await);
    handle.delete(v6()).await.expect("a delete");
}

/// A filter for the mark of the IPv4 flow.
fn marked() -> Filter {
    let net = ctnetlink::IpNet::from(v4().src());
    let filter = Filter::builder().mark(1).orig_src(net).build();
    filter.expect("a filter")
}

fn applied(report: Answer<Report>) -> u64 {
    let report = report.expect("a report");
    assert_eq!(report.done(), report.applied, "{report}");
    report.applied
}

/// In one request if the kernel compares the filter, and one by one.
async fn flush_by_a_filter(handle: ConntrackHandle) {
    let mark = Filter::builder().mark(1).family(Family::Ipv4).build();
    for filter in [mark.expect("a filter"), marked()] {
        leave_two_flows(&handle).await;
        let flush = handle.flush(Table::Conntrack).filter(filter);
        flush.await.expect("a flush");
        clean_the_other(&handle).await;
    }
}

/// A create, an update and a delete.
fn changes() -> [Change; 3] {
    [
        Change::Create(NewFlow::new(v6(), HOUR)),
        Change::Update(v4().into(), Patch::new().mark(2)),
        Change::Delete(v6().into()),
    ]
}

async fn bulk(handle: ConntrackHandle) {
    leave_a_flow(&handle).await;
    assert_eq!(applied(handle.bulk(changes()).await), 3);
    assert_eq!(got(&handle).await.mark, Some(2));
    clean(&handle).await;
}

async fn bulk_stream(handle: ConntrackHandle) {
    leave_a_flow(&handle).await;
    let changes = stream::iter(changes());
    assert_eq!(applied(handle.bulk_stream(changes).await), 3);
    assert_eq!(got(&handle).await.mark, Some(2));
    clean(&handle).await;
}

async fn delete_matching(handle: ConntrackHandle) {
    leave_two_flows(&handle).await;
    assert_eq!(applied(handle.delete_matching(marked()).await), 1);
    clean_the_other(&handle).await;
}

async fn update_matching(handle: ConntrackHandle) {
    leave_a_flow(&handle).await;
    let patch = Patch::new().mark(Masked::new(0x20, 0xf0));
    assert_eq!(applied(handle.update_matching(marked(), patch).await), 1);
    assert_eq!(got(&handle).await.mark, Some(0x21));
    clean(&handle).await;
}

/// Checks that only the flow of the first key is in the table.
fn are_found(found: &[(FlowKey, Option<Flow>)]) {
    let marks = found
        .iter()
        .map(|(_, flow)| flow.as_ref().map(|it| it.mark));
    assert_eq!(marks.collect::<Vec<_>>(), [Some(Some(1)), None]);
}

async fn get_many(handle: ConntrackHandle) {
    leave_a_flow(&handle).await;
    let found = handle.get_many([v4(), v6()]).await.expect("a stream");
    are_found(&found.try_collect::<Vec<_>>().await.expect("flows"));
    clean(&handle).await;
}

async fn get_many_stream(handle: ConntrackHandle) {
    leave_a_flow(&handle).await;
    let keys = stream::iter([v4(), v6()]);
    let found = handle.get_many_stream(keys).await.expect("a stream");
    are_found(&found.try_collect::<Vec<_>>().await.expect("flows"));
    clean(&handle).await;
}
