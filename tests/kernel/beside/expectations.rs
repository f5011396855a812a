//! Expectations: every verb, and what the kernel refuses.

use std::time::Duration;

use ctnetlink::{
    ConntrackHandle, CpuStats, Direction, ErrorKind, Expectation, ExpectationFlags, ExpectationKey,
    ExpectationNat, FlowKey, NewExpectation, NewFlow, Tuple, TupleMask,
};
use libtest_mimic::Trial;

use crate::common::connect;
use crate::verbs::{HOUR, at, refused, tcp, v4, v6};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["expectations":
        one_is_created_got_updated_and_deleted,
        everything_that_one_can_have,
        of_ipv6_with_half_an_address,
        the_helpers_timeout_where_none_is_asked_for,
        only_a_flow_with_a_helper_expects,
        what_the_kernel_refuses,
        input_is_refused_before_anything_is_sent,
        a_tuple_names_its_own_alone,
        an_id_names_one_and_not_its_successor,
        a_delete_is_never_a_flush,
        in_the_zone_of_the_master,
        a_flush_of_one_helper_and_of_all,
        it_ends_with_its_master,
        too_many_of_one_master_evict_the_oldest,
        what_the_cpus_have_counted,
    ]
}

/// Creates flow number `n`, with the helper for FTP. Returns its tuple and the tuple of a flow that
/// it can expect.
pub(super) async fn ftp(handle: &ConntrackHandle, n: u8) -> (Tuple, Tuple) {
    let control = tcp(n);
    let flow = NewFlow::new(control, HOUR).helper("ftp");
    handle.create(flow).await.expect("a flow with a helper");
    let data = Tuple::tcp(at(control.dst(), 0), at(control.src(), 10_000));
    (control, data.expect("one family"))
}

pub(super) async fn expected(handle: &ConntrackHandle, n: u8) -> (Tuple, Expectation) {
    let (control, data) = ftp(handle, n).await;
    let new = NewExpectation::new(control, data);
    let created = handle.expectations().create(new).await;
    created.expect("an expectation");
    (control, got(handle, data).await)
}

async fn got(handle: &ConntrackHandle, key: impl Into<ExpectationKey>) -> Expectation {
    let key = key.into();
    let got = handle.expectations().get(key).await.expect("an answer");
    got.unwrap_or_else(|| panic!("{key:?} is not there"))
}

async fn is_gone(handle: &ConntrackHandle, key: impl Into<ExpectationKey>) -> bool {
    let got = handle.expectations().get(key).await;
    got.expect("an answer").is_none()
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[track_caller]
fn lasts(expectation: &Expectation, wanted: u64) {
    let left = expectation.timeout.expect("a timeout").as_secs();
    assert!(
        (wanted.saturating_sub(60)..=wanted).contains(&left),
        "{left} s of {wanted}"
    );
}

async fn one_is_created_got_updated_and_deleted() {
    let handle = connect();
    let (control, data) = ftp(&handle, 1).await;
    let expectations = handle.expectations();
    assert_eq!(expectations.get(data).await.expect("an answer"), None);

    let new = NewExpectation::new(control, data).timeout(secs(7200));
    expectations.create(new.clone()).await.expect("a create");
    let expectation = got(&handle, &new).await;
    assert_eq!((expectation.tuple, expectation.master), (data, control));
    assert_eq!(expectation.mask, TupleMask::any_src_port(&data));
    assert_eq!(expectation.helper.as_deref(), Some("ftp"));
    assert_eq!((expectation.class, expectation.zone), (0, Some(0)));
    assert_eq!(expectation.flags, ExpectationFlags::empty());
    assert_eq!((&expectation.nat, &expectation.function), (&None, &None));
    lasts(&expectation, 7200);

    expectations
        .update(data, secs(100_000))
        .await
        .expect("an update");
    lasts(&got(&handle, &expectation).await, 100_000);
    expectations.delete(&expectation).await.expect("a delete");
    assert!(is_gone(&handle, data).await);
    for gone in [
        expectations.delete(data).await,
        expectations.delete(&expectation).await,
        expectations.update(data, secs(1)).await,
    ] {
        refused(gone, ErrorKind::NotFound, &["no such expectation"]);
    }
}

async fn everything_that_one_can_have() {
    let handle = connect();
    let control = Tuple::udp(at(v4(1), 5060), at(v4(2), 5060)).expect("one family");
    let flow = NewFlow::new(control, HOUR).helper("sip");
    handle.create(flow).await.expect("a flow");
    let media = Tuple::udp(at(v4(2), 5), at(v4(1), 10_000)).expect("one family");
    let saved = Tuple::udp(at(v4(9), 7777), at(v4(0), 0)).expect("one family");
    let flags = ExpectationFlags::PERMANENT | ExpectationFlags::INACTIVE;
    let mask = TupleMask::new(&media, "255.255.255.0".parse().expect("bits"), 0xff00);
    let mask = mask.expect("a mask");
    let new = NewExpectation::new(control, media)
        .mask(mask)
        .flags(flags)
        .class(1)
        .nat(ExpectationNat::new(Direction::Reply, saved))
        .function("nat-follow-master")
        .helper("sip");
    handle.expectations().create(new).await.expect("a create");
    let expectation = got(&handle, media).await;
    assert_eq!((expectation.mask, expectation.flags), (mask, flags));
    assert_eq!(expectation.class, 1);
    assert_eq!(expectation.function.as_deref(), Some("nat-follow-master"));
    let nat = expectation.nat.expect("a translation");
    assert_eq!(nat.direction, Direction::Reply);
    assert_eq!(nat.tuple.src(), v4(9));
    assert_eq!(nat.tuple.src_port(), Some(7777));
}

async fn of_ipv6_with_half_an_address() {
    let handle = connect();
    let control = Tuple::tcp(at(v6(1), 4000), at(v6(2), 21)).expect("one family");
    let flow = NewFlow::new(control, HOUR).helper("ftp");
    handle.create(flow).await.expect("a flow");
    let data = Tuple::tcp(at(v6(2), 0), at(v6(1), 10_000)).expect("one family");
    let mask = TupleMask::new(&data, "ffff:ffff:ffff:ffff::".parse().expect("bits"), 0);
    let mask = mask.expect("a mask");
    let new = NewExpectation::new(control, data).mask(mask);
    handle.expectations().create(new).await.expect("a create");
    let expectation = got(&handle, data).await;
    assert_eq!(expectation.mask, mask);
    assert!(
        expectation.expects(&Tuple::tcp(at(v6(77), 20), at(v6(1), 10_000)).expect("one family"))
    );
}

async fn the_helpers_timeout_where_none_is_asked_for() {
    let handle = connect();
    let (_, expectation) = expected(&handle, 1).await;
    lasts(&expectation, 300);
    assert!(expectation.timeout > Some(secs(100)));
}

async fn only_a_flow_with_a_helper_expects() {
    let handle = connect();
    let data = Tuple::tcp(at(v4(250), 0), at(v4(1), 10_000)).expect("one family");
    let new = NewExpectation::new(tcp(1), data);
    let created = handle.expectations().create(new.clone()).await;
    refused(
        created,
        ErrorKind::NotFound,
        &["creating an expectation", "its master"],
    );
    handle
        .create(NewFlow::new(tcp(1), HOUR))
        .await
        .expect("a flow");
    let created = handle.expectations().create(new).await;
    let error = refused(
        created,
        ErrorKind::Unsupported,
        &["has no helper", "ct helper set"],
    );
    assert_eq!(error.errno(), Some(nix::libc::EOPNOTSUPP));
    assert!(is_gone(&handle, data).await);
}

async fn what_the_kernel_refuses() {
    let handle = connect();
    let (control, expectation) = expected(&handle, 1).await;
    let (other, _) = ftp(&handle, 2).await;
    let expectations = handle.expectations();
    // The same expectation, and one that the mask of the first matches.
    let near = Tuple::tcp(at(v4(250), 20), at(v4(1), 10_000)).expect("one family");
    for tuple in [expectation.tuple, near] {
        let created = expectations
            .create(NewExpectation::new(control, tuple))
            .await;
        refused(created, ErrorKind::AlreadyExists, &["already"]);
    }
    // It matches everything that the first one matches, and more.
    let wide = Tuple::tcp(at(v4(7), 0), at(v4(1), 10_000)).expect("one family");
    let none = TupleMask::new(&wide, "0.0.0.0".parse().expect("bits"), 0).expect("a mask");
    let new = NewExpectation::new(other, wide).mask(none);
    refused(
        expectations.create(new).await,
        ErrorKind::Busy,
        &["another expectation"],
    );
    let (control, data) = ftp(&handle, 3).await;
    let new = NewExpectation::new(control, data);
    let no_function = new.clone().function("no-such-function");
    refused(
        expectations.create(no_function).await,
        ErrorKind::Unsupported,
        &["function"],
    );
    assert!(is_gone(&handle, data).await);
}

async fn input_is_refused_before_anything_is_sent() {
    let handle = connect();
    let (control, data) = ftp(&handle, 1).await;
    let expectations = handle.expectations();
    let new = NewExpectation::new(control, data);
    let too_long = new.clone().timeout(secs(4_294_968));
    refused(
        expectations.create(too_long).await,
        ErrorKind::InvalidInput,
        &["timeout"],
    );
    let userspace = new.clone().flags(ExpectationFlags::USERSPACE);
    refused(
        expectations.create(userspace).await,
        ErrorKind::InvalidInput,
        &["flags"],
    );
    assert!(is_gone(&handle, data).await);
    expectations.create(new).await.expect("a create");
    let update = expectations.update(data, Duration::MAX).await;
    refused(update, ErrorKind::InvalidInput, &["timeout"]);
    for name in ["", "a\0", "sixteen-bytes-xx"] {
        let flush = expectations.flush().helper(name).await;
        refused(flush, ErrorKind::InvalidInput, &["helper"]);
    }
    lasts(&got(&handle, data).await, 300);
}

/// The kernel's lookup compares under the mask.
async fn a_tuple_names_its_own_alone() {
    let handle = connect();
    let (_, expectation) = expected(&handle, 1).await;
    let met = Tuple::tcp(at(v4(250), 20), at(v4(1), 10_000)).expect("one family");
    assert!(expectation.expects(&met));
    let expectations = handle.expectations();
    assert_eq!(expectations.get(met).await.expect("an answer"), None);
    refused(
        expectations.delete(met).await,
        ErrorKind::NotFound,
        &["expectation"],
    );
    refused(
        expectations.update(met, secs(9)).await,
        ErrorKind::NotFound,
        &["expectation"],
    );
    lasts(&got(&handle, &expectation).await, 300);
}

async fn an_id_names_one_and_not_its_successor() {
    let handle = connect();
    let (_, expectation) = expected(&handle, 1).await;
    let other = !u32::from(expectation.id.expect("an id"));
    let key = ExpectationKey::from(&expectation).id(other.into());
    let expectations = handle.expectations();
    assert_eq!(expectations.get(key).await.expect("an answer"), None);
    refused(
        expectations.delete(key).await,
        ErrorKind::NotFound,
        &["expectation"],
    );
    refused(
        expectations.update(key, secs(9)).await,
        ErrorKind::NotFound,
        &["expectation"],
    );
    lasts(&got(&handle, &expectation).await, 300);
}

async fn a_delete_is_never_a_flush() {
    let handle = connect();
    let (_, first) = expected(&handle, 1).await;
    let (_, second) = expected(&handle, 2).await;
    let expectations = handle.expectations();
    expectations.delete(&first).await.expect("a delete");
    assert!(is_gone(&handle, &first).await);
    refused(expectations.delete(&first).await, ErrorKind::NotFound, &[]);
    refused(
        expectations.delete(first.tuple).await,
        ErrorKind::NotFound,
        &[],
    );
    got(&handle, &second).await;
}

async fn in_the_zone_of_the_master() {
    let handle = connect();
    let control = tcp(1);
    let flow = NewFlow::new(control, HOUR).helper("ftp").zone(5);
    handle.create(flow).await.expect("a flow");
    let data = Tuple::tcp(at(v4(250), 0), at(v4(1), 10_000)).expect("one family");
    let expectations = handle.expectations();
    let outside = expectations
        .create(NewExpectation::new(control, data))
        .await;
    refused(outside, ErrorKind::NotFound, &["master"]);
    let new = NewExpectation::new(FlowKey::orig(control).zone(5), data).timeout(secs(900));
    expectations.create(new.clone()).await.expect("a create");
    assert!(is_gone(&handle, data).await);
    let expectation = got(&handle, &new).await;
    assert_eq!(expectation.zone, Some(5));
    lasts(&expectation, 900);
    assert!(expectation.timeout > Some(secs(300)));
    expectations
        .update(&expectation, secs(5000))
        .await
        .expect("an update");
    lasts(&got(&handle, &expectation).await, 5000);
    expectations.delete(&expectation).await.expect("a delete");
    assert!(is_gone(&handle, &expectation).await);
}

async fn a_flush_of_one_helper_and_of_all() {
    let handle = connect();
    let (_, ftp) = expected(&handle, 1).await;
    let control = Tuple::udp(at(v4(3), 4000), at(v4(4), 69)).expect("one family");
    let flow = NewFlow::new(control, HOUR).helper("tftp");
    handle.create(flow).await.expect("a flow");
    let data = Tuple::udp(at(v4(4), 0), at(v4(3), 4000)).expect("one family");
    let expectations = handle.expectations();
    let new = NewExpectation::new(control, data);
    expectations.create(new.clone()).await.expect("a create");
    expectations
        .flush()
        .helper("sip")
        .await
        .expect("a flush of none");
    got(&handle, data).await;
    expectations.flush().helper("tftp").await.expect("a flush");
    assert!(is_gone(&handle, data).await);
    got(&handle, &ftp).await;
    expectations.create(new).await.expect("a create");
    expectations.flush().await.expect("a flush");
    assert!(is_gone(&handle, data).await && is_gone(&handle, &ftp).await);
}

async fn it_ends_with_its_master() {
    let handle = connect();
    let (control, expectation) = expected(&handle, 1).await;
    handle.delete(control).await.expect("a delete");
    assert!(is_gone(&handle, &expectation).await);
}

async fn too_many_of_one_master_evict_the_oldest() {
    let handle = connect();
    let (control, first) = expected(&handle, 1).await;
    let second = Tuple::tcp(at(v4(250), 0), at(v4(1), 10_001)).expect("one family");
    let new = NewExpectation::new(control, second);
    handle.expectations().create(new).await.expect("a create");
    assert!(is_gone(&handle, &first).await);
    got(&handle, second).await;
}

async fn what_the_cpus_have_counted() {
    let handle = connect();
    let expectations = handle.expectations();
    let before = CpuStats::total(&expectations.cpu_stats().await.expect("counters"));
    assert_eq!((before.create, before.delete), (Some(0), Some(0)));
    let (_, expectation) = expected(&handle, 1).await;
    expectations.delete(&expectation).await.expect("a delete");
    let stats = expectations.cpu_stats().await.expect("counters");
    let after = CpuStats::total(&stats);
    assert_eq!((after.create, after.delete), (Some(1), Some(1)));
    let cpus: Vec<_> = stats.iter().map(|stats| stats.cpu).collect();
    assert!(cpus.is_sorted() && !cpus.is_empty(), "{cpus:?}");
}
