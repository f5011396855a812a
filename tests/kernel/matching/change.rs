//! A decision for each flow; reports; and restored tables.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::mpsc;

use ctnetlink::{
    Change, ErrorKind, Filter, Flow, FlowKey, KernelFilter, NewFlow, Outcome, Patch, Table,
};
use futures::TryStreamExt;
use libtest_mimic::Trial;

use crate::common::{connect, fill, list, new, rest, udp};
use crate::support::nft;
use crate::verbs::{HOUR, got, label, tcp};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["matching::change":
        each_flow_as_decided,
        each_change_is_shown,
        what_exists_is_told_from_a_clash,
        a_part_that_was_made_is_told,
        masters_are_restored_first,
    ]
}

/// The number from which the flow's tuple was made.
fn number(flow: &Flow) -> u16 {
    match flow.orig.src() {
        IpAddr::V4(src) => u16::from_be_bytes([src.octets()[2], src.octets()[3]]),
        other => panic!("{other}"),
    }
}

async fn each_flow_as_decided() {
    let handle = connect();
    fill(&handle, 300).await;
    let filter = Filter::builder().protocol(17).mark(0).build();
    let decide = |flow: &Flow| match number(flow) % 3 {
        0 => None,
        1 => Some(Change::delete(flow)),
        _ => Some(Change::update(flow, Patch::new().mark(9))),
    };
    let report = handle.change_matching(filter.expect("a filter"), decide);
    let report = report.await.expect("a report");
    assert_eq!((report.applied, report.done()), (200, 200));
    assert_eq!(report.kernel_filtered, Some(KernelFilter::MARK), "{report}");
    let flows: Vec<Flow> = list(&handle).await.try_collect().await.expect("flows");
    assert_eq!(flows.len(), 200);
    for flow in flows {
        let expected = [0, u32::MAX, 9][usize::from(number(&flow) % 3)];
        assert_eq!(flow.mark, Some(expected), "{flow}");
    }
}

async fn each_change_is_shown() {
    let handle = connect();
    fill(&handle, 200).await;
    let (sender, shown) = mpsc::channel();
    let report = handle
        .delete_matching(Filter::builder().mark(0).build().expect("a filter"))
        .on_item(move |change, outcome| {
            assert!(matches!(change, Change::Delete(_)) && outcome.is_applied());
            sender.send(*change.key().tuple()).expect("a receiver");
        })
        .await
        .expect("a report");
    assert_eq!(report.applied, 200);
    // The key is the reply tuple.
    let shown: HashSet<_> = shown.iter().collect();
    assert_eq!(shown, (0..200).map(|n| udp(n).inverse()).collect());

    let (sender, shown) = mpsc::channel();
    let missing = FlowKey::reply(udp(1));
    let changes = [
        Change::create(new(1)),
        Change::create(new(1)),
        Change::update(udp(2), Patch::new().mark(1)),
        Change::update(udp(1), Patch::new()),
        Change::delete(missing),
    ];
    let report = handle
        .bulk(changes.clone())
        .on_item(move |change, outcome| {
            let outcome = match outcome {
                Outcome::Applied => "applied",
                Outcome::Gone => "gone",
                Outcome::Exists => "exists",
                Outcome::Failed(error) if error.kind() == ErrorKind::InvalidInput => "failed",
                other => panic!("{other:?}"),
            };
            sender.send((change.clone(), outcome)).expect("a receiver");
        })
        .await
        .expect("a report");
    let outcomes = ["applied", "exists", "gone", "failed", "gone"];
    let expected: Vec<_> = changes.into_iter().zip(outcomes).collect();
    assert_eq!(shown.iter().collect::<Vec<_>>(), expected);
    assert_eq!((report.applied, report.exists, report.gone), (1, 1, 2));
    assert_eq!(report.kernel_filtered, None);
}

async fn what_exists_is_told_from_a_clash() {
    let handle = connect();
    fill(&handle, 100).await;
    let there = (0..100).map(|n| Change::create(new(n)));
    let clashes = (100..200).map(|n| Change::create(new(n).reply(udp(n - 100).inverse())));
    let report = handle.bulk(there.chain(clashes)).await.expect("a report");
    assert_eq!((report.exists, report.failed_total), (100, 100), "{report}");
    for (index, (key, error)) in report.failed.iter().enumerate() {
        assert_eq!(*key, FlowKey::from(udp(100 + index as u16)));
        assert!(error.to_string().contains("reply tuple"), "{error}");
    }
    // Deleted in the same send, so a lookup comes too late.
    let id = got(&handle, udp(1)).await.id.expect("an id");
    let both = [
        Change::create(new(1)),
        Change::delete(FlowKey::from(udp(1)).id(id)),
    ];
    let report = handle.bulk(both).await.expect("a report");
    assert_eq!((report.exists, report.applied), (1, 1), "{report}");
}

/// The kernel sets labels last, so the other changes are made.
async fn a_part_that_was_made_is_told() {
    let handle = connect();
    fill(&handle, 1).await;
    let patch = Patch::new().mark(7).timeout(HOUR).labels(label(3));
    let report = handle.update_matching(Filter::default(), patch.clone());
    let report = report.await.expect("a report");
    assert_eq!((report.partial, report.failed_total), (1, 1), "{report}");
    let (_, error) = &report.failed[0];
    assert!(error.is_partial(), "{error}");
    assert!(error.to_string().contains("kept: timeout, mark"), "{error}");
    assert_eq!(got(&handle, udp(0)).await.mark, Some(7));

    let error = handle.update(udp(0)).patch(patch).await;
    let error = error.expect_err("no room for labels");
    assert_eq!(error.kind(), ErrorKind::LabelsUnavailable);
    assert!(error.is_partial(), "{error}");
    let error = handle.set_labels(udp(0), label(3)).await;
    assert!(!error.expect_err("no room for labels").is_partial());
    // With room for labels, everything is changed.
    nft::labels().expect("a rule that uses labels");
    handle.create(new(1)).await.expect("a flow");
    let patch = Patch::new().mark(7).labels(label(3));
    handle.update(udp(1)).patch(patch).await.expect("an update");
}

/// Masters that have masters, listed in any order.
async fn masters_are_restored_first() {
    let handle = connect();
    fill(&handle, 50).await;
    let expected = |n: u8, master| NewFlow::new(tcp(n), HOUR).master(master);
    handle.create(expected(1, udp(1))).await.expect("a flow");
    handle.create(expected(2, tcp(1))).await.expect("a flow");
    handle.create(expected(3, tcp(2))).await.expect("a flow");
    let flows = list(&handle).await.try_collect::<Vec<Flow>>().await;
    let mut flows = flows.expect("flows");
    flows.sort_by_key(|flow| std::cmp::Reverse((flow.master().is_some(), flow.orig)));
    assert_eq!(flows[0].orig.protocol(), 6);
    let flush = || async { handle.flush(Table::Conntrack).await.expect("a flush") };

    flush().await;
    let in_that_order = flows.clone().into_iter().map(Change::create);
    let report = handle.bulk(in_that_order).await.expect("a report");
    assert_eq!(report.failed_total, 3, "the kernel wants masters: {report}");

    flush().await;
    let report = handle.restore(flows.clone()).await.expect("a report");
    assert_eq!((report.applied, report.failed_total), (53, 0), "{report}");
    assert_eq!(got(&handle, tcp(3)).await.master(), Some(&tcp(2)));
    let again = handle.restore(flows).await.expect("a report");
    assert_eq!((again.exists, again.done()), (53, 53), "{again}");
    assert_eq!(rest(list(&handle).await).await, 53);
}
