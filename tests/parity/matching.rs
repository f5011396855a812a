//! The same filter in the crate and in conntrack(8) deletes and changes the same flows.

use std::collections::BTreeSet;

use ctnetlink::{
    Change, ConntrackHandle, Family, Filter, FilterBuilder, Flow, IpNet, Labels, Masked, NatKind,
    NewFlow, Patch, Table, TcpState, Tuple, Zone,
};
use futures::TryStreamExt;

use crate::flows::connect;
use crate::names::name_all_labels;
use crate::population::populate_by_requests;
use crate::tool::{conntrack, tried};

/// The tool's filter, and ours.
type Case = (&'static str, fn(FilterBuilder) -> FilterBuilder);

const CASES: [Case; 14] = [
    ("-m 0x10/0x10", |b| b.mark(Masked::new(0x10, 0x10))),
    ("-m 7", |b| b.mark(7)),
    ("-p udp --dport 443", |b| b.protocol(17).orig_dst_port(443)),
    ("-p tcp --reply-port-src 2", |b| {
        b.protocol(6).reply_src_port(2)
    }),
    ("-p tcp --state ESTABLISHED", |b| {
        b.tcp_state(TcpState::ESTABLISHED)
    }),
    ("-f ipv6", |b| b.family(Family::Ipv6)),
    ("-w 5", |b| b.zone(5)),
    ("-s 10.3.0.5", |b| b.orig_src(net("10.3.0.5/32"))),
    ("-d 10.4.0.0/16", |b| b.orig_dst(net("10.4.0.0/16"))),
    ("-s fd00:3::2", |b| b.orig_src(net("fd00:3::2/128"))),
    ("-f ipv6 -d fd00:4::/32", |b| b.orig_dst(net("fd00:4::/32"))),
    ("--src-nat", |b| b.nat(NatKind::Source)),
    ("--dst-nat", |b| b.nat(NatKind::Destination)),
    ("-l label3", |b| {
        let three = Labels::bit(3).expect("a label");
        b.labels(Masked::new(three, three))
    }),
];

fn net(text: &str) -> IpNet {
    text.parse().expect("a prefix")
}

fn filter((_, add): &Case) -> Filter {
    add(Filter::builder()).build().expect("a filter")
}

async fn listed(handle: &ConntrackHandle) -> Vec<Flow> {
    let flows = handle.list(Table::Conntrack).await.expect("a list");
    flows.try_collect().await.expect("all flows")
}

/// What identifies a flow, whoever created it.
fn names(flows: &[Flow]) -> BTreeSet<(Tuple, Zone)> {
    flows.iter().map(|flow| (flow.orig, flow.zone)).collect()
}

/// Returns the flows that are gone, and creates them again, masters first.
async fn gone(handle: &ConntrackHandle, all: &[Flow]) -> BTreeSet<(Tuple, Zone)> {
    let left = names(&listed(handle).await);
    let is_gone = |flow: &&Flow| !left.contains(&(flow.orig, flow.zone));
    let mut gone: Vec<Flow> = all.iter().filter(is_gone).cloned().collect();
    gone.sort_by_key(|flow| flow.master().is_some());
    let again: Vec<_> = gone.iter().map(NewFlow::from).map(Change::Create).collect();
    let report = handle.bulk(again).await.expect("a report");
    assert!(report.failed.is_empty(), "{report}");
    names(&gone)
}

pub async fn deletes() {
    name_all_labels();
    let handle = connect();
    populate_by_requests(&handle).await;
    let all = listed(&handle).await;
    for case in &CASES {
        conntrack(&format!("-D {}", case.0));
        let theirs = gone(&handle, &all).await;
        assert!(!theirs.is_empty() && theirs.len() < all.len(), "{}", case.0);
        let report = handle.delete_matching(filter(case)).await;
        let report = report.expect("a report");
        assert_eq!(report.applied, theirs.len() as u64);
        report.into_result().expect("no failure");
        assert_eq!(gone(&handle, &all).await, theirs, "{}", case.0);
    }
}

pub async fn flushes() {
    name_all_labels();
    let handle = connect();
    populate_by_requests(&handle).await;
    let all = listed(&handle).await;
    for case in &CASES {
        conntrack(&format!("-D {}", case.0));
        let theirs = gone(&handle, &all).await;
        let flush = handle.flush(Table::Conntrack).filter(filter(case));
        flush.await.expect("a flush");
        assert_eq!(gone(&handle, &all).await, theirs, "{}", case.0);
    }
}

/// Only conditions with which the tool's updates succeed. With others it stops at a flow with a
/// zone, a master or a translation.
const UPDATES: [Case; 4] = [
    ("-s 10.3.0.7", |b| b.orig_src(net("10.3.0.7/32"))),
    ("-s 10.1.0.0/29", |b| b.orig_src(net("10.1.0.0/29"))),
    ("-p tcp -d 10.4.0.1", |b| {
        b.protocol(6).orig_dst(net("10.4.0.1/32"))
    }),
    ("-f ipv6 -d fd00:4::1", |b| b.orig_dst(net("fd00:4::1/128"))),
];

pub async fn updates() {
    let handle = connect();
    populate_by_requests(&handle).await;
    let marks = async || {
        let flows = listed(&handle).await;
        let marks = flows.iter().map(|flow| (flow.orig, flow.zone, flow.mark));
        marks.collect::<BTreeSet<_>>()
    };
    let set = async |filter, mark: u32| {
        let patch = Patch::new().mark(mark);
        let report = handle.update_matching(filter, patch).await;
        let report = report.expect("a report");
        let applied = report.applied;
        report.into_result().expect("no failure");
        applied
    };
    for (n, case) in (1..).zip(&UPDATES) {
        let all = loop {
            let all = set(Filter::default(), 0).await;
            match tried(&format!("-U {} -m {n}", case.0)) {
                Ok(_) => break all,
                // conntrack 1.4.7 sometimes stops half way with EPROTO.
                Err(words) => assert!(words.contains("Protocol error"), "{words}"),
            }
        };
        let theirs = marks().await;
        set(Filter::default(), 0).await;
        let ours = set(filter(case), n).await;
        assert!((1..all).contains(&ours), "{}: {ours}", case.0);
        assert!(marks().await == theirs, "{}", case.0);
    }
}
