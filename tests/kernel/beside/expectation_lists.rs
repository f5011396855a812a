//! Lists of expectations: of all, of one family, of one master.

use std::fs;

use ctnetlink::{
    ErrorKind, Expectation, ExpectationKey, Family, FlowKey, ListExpectations, NewExpectation,
    NewFlow, Tuple,
};
use futures::TryStreamExt;
use futures::future::join_all;
use libtest_mimic::Trial;

use super::expectations::{expected, ftp};
use crate::common::{connect, udp};
use crate::verbs::{HOUR, at, refused, tcp, v4, v6};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["expectation_lists":
        a_list_has_them_all,
        a_list_of_one_master,
        a_list_that_is_dropped_is_over,
        too_many_of_all_are_refused,
    ]
}

async fn list(list: ListExpectations) -> Vec<Expectation> {
    let stream = list.await.expect("a stream");
    let mut found: Vec<_> = stream.try_collect().await.expect("expectations");
    found.sort_by_key(|expectation| expectation.tuple);
    found
}

/// Expectations of both families, more than one datagram has room for.
async fn a_list_has_them_all() {
    let handle = connect();
    let expectations = handle.expectations();
    assert_eq!(list(expectations.list()).await, []);
    let mut tuples = Vec::new();
    for n in 0..250 {
        let (_, expectation) = expected(&handle, n).await;
        tuples.push(expectation.tuple);
    }
    let control = Tuple::tcp(at(v6(1), 4000), at(v6(2), 21)).expect("one family");
    let flow = NewFlow::new(control, HOUR).helper("ftp");
    handle.create(flow).await.expect("a flow");
    let six = Tuple::tcp(at(v6(2), 0), at(v6(1), 10_000)).expect("one family");
    let new = NewExpectation::new(control, six);
    expectations.create(new).await.expect("an expectation");
    tuples.sort();
    let of = |found: Vec<Expectation>| found.iter().map(|it| it.tuple).collect::<Vec<_>>();
    assert_eq!(
        of(list(expectations.list().family(Family::Ipv4)).await),
        tuples
    );
    assert_eq!(
        of(list(expectations.list().family(Family::Ipv6)).await),
        [six]
    );
    tuples.push(six);
    tuples.sort();
    let all = list(expectations.list()).await;
    assert_eq!(of(all.clone()), tuples);
    // An expectation from a list is a key.
    expectations.delete(&all[7]).await.expect("a delete");
    assert_eq!(list(expectations.list()).await.len(), 250);
}

/// If the master has no helper, the kernel answers with only an ACK.
async fn a_list_of_one_master() {
    let handle = connect();
    let expectations = handle.expectations();
    let (control, expectation) = expected(&handle, 1).await;
    let (other, _) = ftp(&handle, 2).await;
    expected(&handle, 3).await;
    let found = list(expectations.list().master(control)).await;
    assert_eq!(found.len(), 1);
    assert_eq!(
        ExpectationKey::from(&found[0]),
        ExpectationKey::from(&expectation)
    );
    assert_eq!(list(expectations.list().master(other)).await, []);
    handle
        .create(NewFlow::new(tcp(4), HOUR))
        .await
        .expect("a flow");
    assert_eq!(list(expectations.list().master(tcp(4))).await, []);
    let gone = expectations.list().master(tcp(5)).await;
    refused(
        gone,
        ErrorKind::NotFound,
        &["listing the expectations", "not in the table"],
    );
    let six = expectations
        .list()
        .master(control)
        .family(Family::Ipv6)
        .await;
    refused(six, ErrorKind::InvalidInput, &["master", "ipv6"]);
    // Listed expectations have the zone of their master, so that they can be deleted.
    let flow = NewFlow::new(tcp(6), HOUR).helper("ftp").zone(5);
    let key = FlowKey::from(&flow);
    handle.create(flow).await.expect("a flow");
    let data = Tuple::tcp(at(v4(250), 0), at(v4(6), 10_000)).expect("one family");
    expectations
        .create(NewExpectation::new(key, data))
        .await
        .expect("a create");
    let found = list(expectations.list().master(key)).await;
    assert_eq!(found[0].zone, Some(5));
    expectations.delete(&found[0]).await.expect("a delete");
    assert_eq!(list(expectations.list().master(key)).await, []);
}

async fn a_list_that_is_dropped_is_over() {
    let handle = connect();
    for n in 0..250 {
        expected(&handle, n).await;
    }
    let mut stream = handle.expectations().list().await.expect("a stream");
    assert!(stream.try_next().await.expect("an expectation").is_some());
    drop(stream);
    assert_eq!(list(handle.expectations().list()).await.len(), 250);
}

async fn too_many_of_all_are_refused() {
    let most = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_expect_max");
    let most: u16 = most.expect("a limit").trim().parse().expect("a number");
    let handle = connect();
    let expect = async |n: u16| {
        let control = udp(n);
        let flow = NewFlow::new(control, HOUR).helper("tftp");
        handle.create(flow).await.expect("a flow with a helper");
        let data = Tuple::udp(at(control.dst(), 0), at(control.src(), 4000));
        let new = NewExpectation::new(control, data.expect("one family"));
        handle.expectations().create(new).await
    };
    for made in join_all((0..most).map(expect)).await {
        made.expect("a create");
    }
    let told = ["nf_conntrack_expect_max"];
    refused(expect(most).await, ErrorKind::TableFull, &told);
}
