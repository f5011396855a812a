//! Without `CAP_NET_ADMIN`, the kernel answers only the first change of a send, and makes none.

use std::ops::ControlFlow;
use std::time::Duration;

use ctnetlink::{Change, ConntrackHandle, ErrorKind, FlowKey, Patch, Report, Status};
use futures::StreamExt;
use libtest_mimic::Trial;
use nix::unistd::{Uid, seteuid};

use super::{BATCH, connect, counts, fill, found, mark, marks, new, udp};
use crate::common::Held;
use crate::right::{self, NOBODY, give_up, take_back};

pub(super) fn tests() -> Vec<Trial> {
    vec![
        right::trial("bulk::rights::lost_before", lost_before),
        right::trial("bulk::rights::lost_amid", lost_amid),
    ]
}

const FLOWS: u16 = 300;

/// A change of this kind for flow number `n`. The last kind uses the flow's id.
fn change(kind: usize, n: u16, id: ctnetlink::FlowId) -> Change {
    let key = FlowKey::from(udp(n));
    let patch = Patch::new().mark(9);
    match kind {
        0 => Change::Update(key, patch),
        1 => Change::Update(key, patch.status(Status::ASSURED)),
        2 => Change::Update(key, Patch::new().timeout(Duration::from_secs(9))),
        3 => Change::Create(new(n + FLOWS)),
        4 => Change::Delete(key),
        _ => Change::Delete(key.id(id)),
    }
}

/// Checks the report: all changes were refused, for the right reason.
fn refused(report: &Report, keys: &[FlowKey]) {
    let all = keys.len() as u64;
    assert_eq!(counts(report), (0, 0, all), "{report:?}");
    assert_eq!(report.failed.len(), keys.len());
    for ((key, error), expected) in report.failed.iter().zip(keys) {
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
        assert_eq!(key, expected);
    }
}

async fn lost_before() {
    let handle = connect();
    fill(&handle, FLOWS).await;
    let ids = found(&handle, (0..FLOWS).map(udp)).await.into_iter();
    let ids: Vec<_> = ids
        .map(|flow| flow.and_then(|flow| flow.id).expect("an id"))
        .collect();
    let held = Held::at_rest().await;
    let back = give_up().await;
    for changes in [1, 2, 63, 64, 65, 128, FLOWS] {
        // All changes of one kind, then mixed kinds.
        for kind in 0..7 {
            let kind = |n: u16| if kind < 6 { kind } else { usize::from(n) % 6 };
            let all = (0..changes).map(|n| change(kind(n), n, ids[usize::from(n)]));
            let all: Vec<_> = all.collect();
            let keys: Vec<_> = all.iter().map(Change::key).collect();
            let report = handle.bulk(all).await.expect("a report");
            refused(&report, &keys);
        }
        reads_are_refused(&handle, changes).await;
    }
    held.again().await;
    if back {
        take_back();
        assert_eq!(marks(&handle, 0..FLOWS).await, vec![Some(0); FLOWS.into()]);
        assert_eq!(
            marks(&handle, FLOWS..2 * FLOWS).await,
            vec![None; FLOWS.into()]
        );
        for flow in found(&handle, (0..FLOWS).map(udp)).await {
            let flow = flow.expect("a flow");
            assert_eq!(flow.status, Status::CONFIRMED);
            assert!(flow.timeout > Some(Duration::from_secs(9)));
        }
    }
}

/// Each refusal is an item of the stream, and the stream ends.
async fn reads_are_refused(handle: &ConntrackHandle, reads: u16) {
    let found = handle.get_many((0..reads).map(udp)).await;
    let items: Vec<_> = found.expect("a stream").collect().await;
    assert_eq!(items.len(), usize::from(reads));
    for item in items {
        let error = item.expect_err("no right");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    }
}

/// The right is lost after some sends. In a user namespace this is only possible for a process with
/// one thread.
async fn lost_amid() {
    if seteuid(Uid::from_raw(NOBODY)).is_err() {
        return;
    }
    take_back();
    let handle = connect();
    fill(&handle, FLOWS).await;
    for sends in 1..=3 {
        let value = sends as u32;
        let mut left = sends;
        let report = handle
            .bulk((0..FLOWS).map(move |n| mark(n, value)))
            .on_progress(move |_| {
                left -= 1;
                if left == 0 {
                    seteuid(Uid::from_raw(NOBODY)).expect("to become nobody");
                }
                ControlFlow::Continue(())
            });
        let report = report.await.expect("a report");
        take_back();
        let done = sends as usize * BATCH;
        let failed = usize::from(FLOWS) - done;
        assert_eq!(counts(&report), (done as u64, 0, failed as u64));
        for ((key, error), n) in report.failed.iter().zip(done as u16..) {
            assert_eq!(
                (*key, error.kind()),
                (udp(n).into(), ErrorKind::PermissionDenied)
            );
        }
        let marks = marks(&handle, 0..FLOWS).await;
        let marked = marks
            .iter()
            .take_while(|mark| **mark == Some(value))
            .count();
        assert_eq!(marked, done);
        assert!(marks[done..].iter().all(|mark| *mark != Some(value)));
    }
}
