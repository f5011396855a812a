//! Flows that replace others between the list and the change.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::thread;

use ctnetlink::{Bulk, Change, ConntrackHandle, Filter, Flow, IpNet, Nat, Patch, Report, Tuple};
use futures::TryStreamExt;
use libtest_mimic::Trial;

use crate::common::{connect, new, udp};
use crate::support::namespace::block_on;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["matching::successors":
        of_deleted_flows_stay,
        with_another_translation_stay,
        of_updated_flows_are_changed_in_their_stead,
    ]
}

/// A list of several datagrams. At the first send of at most 64 changes, about 110 more flows are
/// already listed, because the kernel fills its second datagram when the first is received.
const FLOWS: u16 = 400;
const OLD: u32 = 1;
const NEW: u32 = 2;

/// The flows of this test that are in the table.
async fn there(handle: &ConntrackHandle) -> HashMap<Tuple, Flow> {
    let found = handle.get_many((0..FLOWS).map(udp)).await;
    let found = found
        .expect("a stream")
        .try_filter_map(async |(_, it)| Ok(it));
    let flows = found.map_ok(|flow| (flow.orig, flow));
    flows.try_collect().await.expect("flows")
}

/// Replaces all flows with the old mark by new flows with the new mark and other ids.
async fn replace(handle: &ConntrackHandle) -> HashMap<Tuple, Flow> {
    let mut before = there(handle).await;
    before.retain(|_, flow| flow.mark == Some(OLD));
    for flow in before.values() {
        handle.delete(flow).await.expect("a delete");
    }
    let mut spare = FLOWS;
    for (tuple, old) in &before {
        let n = (0..FLOWS).find(|n| udp(*n) == *tuple).expect("a number");
        loop {
            handle.create(new(n).mark(NEW)).await.expect("a flow");
            let flow = handle.get(*tuple).await.expect("an answer");
            if flow.expect("a flow").id != old.id {
                break;
            }
            // The new flow got the memory of the old one. Another flow must take that memory.
            handle.delete(*tuple).await.expect("a delete");
            handle.create(new(spare)).await.expect("a flow");
            spare += 1;
        }
    }
    let mut after = there(handle).await;
    after.retain(|tuple, _| before.contains_key(tuple));
    assert_eq!(after.len(), before.len());
    after
}

/// The report after the first send, the report at the end, and the new flows that replaced those
/// not changed by the first send. They were created while the thread of the request waited.
async fn staged(request: impl FnOnce(&ConntrackHandle, Filter) -> Bulk) -> Staged {
    let handle = connect();
    let flows = (0..FLOWS).map(|n| Change::Create(new(n).mark(OLD)));
    let created = handle.bulk(flows).await.expect("a report");
    assert_eq!(created.applied, FLOWS.into());
    let filter = Filter::builder().mark(OLD).build().expect("a filter");
    let (sender, receiver) = mpsc::channel();
    let mut stage = Some(sender);
    let request = request(&handle, filter).on_progress(move |report| {
        if let Some(sender) = stage.take() {
            let other = thread::spawn(|| block_on(async { replace(&connect()).await }));
            let successors = other.join().expect("a thread");
            sender.send((report.applied, successors)).expect("a test");
        }
        ControlFlow::Continue(())
    });
    let report = request.await.expect("a report");
    let (at_first, successors) = receiver.recv().expect("a stage");
    assert!((1..=64).contains(&at_first), "{at_first}");
    assert_eq!(successors.len() as u64, u64::from(FLOWS) - at_first);
    assert!(report.failed.is_empty() && report.incomplete.is_none());
    Staged {
        at_first,
        successors,
        report,
        now: there(&handle).await,
    }
}

struct Staged {
    at_first: u64,
    successors: HashMap<Tuple, Flow>,
    report: Report,
    now: HashMap<Tuple, Flow>,
}

fn ids(flows: &HashMap<Tuple, Flow>) -> HashMap<Tuple, u32> {
    let id = |flow: &Flow| flow.id.expect("an id").into();
    flows.iter().map(|(it, flow)| (*it, id(flow))).collect()
}

async fn of_deleted_flows_stay() {
    let staged = staged(|handle, filter| handle.delete_matching(filter)).await;
    let report = staged.report;
    // The listed flows are gone, and no new flow is.
    assert_eq!(report.applied, staged.at_first, "{report}");
    assert!(report.gone > 0, "{report}");
    assert_eq!(ids(&staged.now), ids(&staged.successors));
}

/// The client of a service returns at once and is sent to another server. Its new flow has the same
/// original tuple, usually the same address in memory, and so the same id.
async fn with_another_translation_stay() {
    const CLIENTS: u16 = 400;
    fn server(which: u8) -> IpAddr {
        [10, 9, 0, which].into()
    }
    let to = |n: u16, which| new(n).destination_nat(Nat::to(server(which)));
    let handle = connect();
    let created = (0..CLIENTS).map(move |n| Change::Create(to(n, 7)));
    assert_eq!(
        handle.bulk(created).await.expect("a report").failed_total,
        0
    );
    let filter = Filter::builder()
        .protocol(17)
        .reply_src(IpNet::from(server(7)));
    let (sender, receiver) = mpsc::channel();
    let mut stage = Some(sender);
    let delete = handle.delete_matching(filter.build().expect("a filter"));
    let report = delete.on_progress(move |report| {
        let Some(sender) = stage.take() else {
            return ControlFlow::Continue(());
        };
        let done = report.applied;
        let other = thread::spawn(move || {
            block_on(async move {
                let handle = connect();
                let mut same = 0;
                for n in 0..CLIENTS {
                    let Some(old) = handle.get(udp(n)).await.expect("an answer") else {
                        continue;
                    };
                    // If the thread has moved to another core, it gets other memory.
                    for _ in 0..50 {
                        handle.delete(udp(n)).await.expect("a delete");
                        handle.create(to(n, 8)).await.expect("a flow");
                        let new = handle.get(udp(n)).await.expect("an answer");
                        if new.expect("a flow").id == old.id {
                            same += 1;
                            break;
                        }
                    }
                }
                same
            })
        });
        sender
            .send((done, other.join().expect("a thread")))
            .expect("a test");
        ControlFlow::Continue(())
    });
    let report = report.await.expect("a report");
    let (at_first, same) = receiver.recv().expect("a stage");
    assert!(
        same > 20,
        "{same} with the same id: nothing would be proved"
    );
    assert!(report.gone > 0, "{report}");
    assert_eq!(report.applied, at_first, "{report}");
    let found = handle
        .get_many((0..CLIENTS).map(udp))
        .await
        .expect("a stream");
    let left = found
        .try_filter_map(async |(_, flow)| Ok(flow))
        .try_collect::<Vec<_>>();
    let left = left.await.expect("flows");
    assert_eq!(left.len() as u64, u64::from(CLIENTS) - at_first);
    assert!(left.iter().all(|flow| flow.reply.src() == server(8)));
}

/// As documented, the kernel ignores the id in an update.
async fn of_updated_flows_are_changed_in_their_stead() {
    let patch = Patch::new().mark(3);
    let staged = staged(|handle, filter| handle.update_matching(filter, patch)).await;
    let report = staged.report;
    assert_eq!(report.gone, 0, "{report}");
    let changed = staged.now.values().filter(|it| it.mark == Some(3));
    assert_eq!(changed.count() as u64, report.applied);
    assert!(report.applied > staged.at_first, "{report}");
    let mut now = ids(&staged.now);
    now.retain(|tuple, _| staged.successors.contains_key(tuple));
    assert_eq!(now, ids(&staged.successors));
}
