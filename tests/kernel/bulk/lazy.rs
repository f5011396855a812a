//! A bulk request takes changes from its source when it needs them, and keeps none.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ctnetlink::{Change, Patch, Report};
use futures::{StreamExt, TryStreamExt, stream};
use libtest_mimic::Trial;

use super::{bulk, connect, counts, fill, mark, marks, udp};
use crate::common::{alone, memory};

pub(super) fn tests() -> Vec<Trial> {
    let mut tests = alone!("bulk::lazy":
        a_million_changes,
        failures_without_end,
        reads_without_end,
    );
    tests.extend(crate::trials!["bulk::lazy":
        nothing_is_taken_before_the_first_poll,
    ]);
    tests
}

const MILLION: u64 = 1_000_000;

const MANY: u64 = 200_000;

/// In KiB. All keys together are larger.
const BOUND: u64 = 2 * 1024;

fn has_not_grown(before: u64) {
    let grown = memory("VmHWM").saturating_sub(before);
    assert!(grown < BOUND, "{grown} KiB");
}

async fn a_million_changes() {
    let handle = connect();
    fill(&handle, 10).await;
    let before = memory("VmHWM");
    let report = bulk(
        &handle,
        (0..MILLION).map(|n| mark((n % 10) as u16, n as u32)),
    )
    .await;
    assert_eq!(counts(&report), (MILLION, 0, 0));
    has_not_grown(before);
    let last: Vec<_> = (0..10).map(|n| Some(MILLION as u32 - 10 + n)).collect();
    assert_eq!(marks(&handle, 0..10).await, last);
}

/// Only the first failures are kept.
async fn failures_without_end() {
    let handle = connect();
    let before = memory("VmHWM");
    // Some are refused before they are sent, and some by the kernel.
    let nothing = Patch::new();
    let updates = (0..MANY).map(move |n| match n % 4 {
        0 => Change::Update(udp(1).into(), nothing.clone()),
        _ => mark(n as u16, 1),
    });
    let report = bulk(&handle, updates).await;
    assert_eq!(counts(&report), (0, MANY / 4 * 3, MANY / 4));
    assert_eq!(report.failed.len(), Report::KEPT);
    has_not_grown(before);
}

async fn reads_without_end() {
    let handle = connect();
    fill(&handle, 10).await;
    let before = memory("VmHWM");
    let found = handle.get_many((0..MANY).map(|n| udp((n % 20) as u16)));
    let found = found.await.expect("a stream");
    let there = found.try_fold(0, |there, (_, flow)| async move {
        Ok(there + u64::from(flow.is_some()))
    });
    assert_eq!(there.await.expect("flows"), MANY / 2);
    has_not_grown(before);
}

async fn nothing_is_taken_before_the_first_poll() {
    let handle = connect();
    fill(&handle, 1).await;
    let taken = Arc::new(AtomicU64::new(0));
    let take = || {
        let taken = taken.clone();
        move |n: u64| {
            taken.fetch_add(1, Ordering::Relaxed);
            n as u16
        }
    };
    let (one, two, three, four) = (take(), take(), take(), take());
    let changes = handle.bulk((0..9).map(move |n| mark(one(n), 1)));
    let streamed = stream::iter(0..9).map(move |n| mark(two(n), 1));
    let streamed = handle.bulk_stream(streamed);
    let reads = handle.get_many((0..9).map(move |n| udp(three(n))));
    let stream_of_reads = handle.get_many_stream(stream::iter(0..9).map(move |n| udp(four(n))));
    drop((changes, reads));
    let streamed = streamed.into_future();
    drop(stream_of_reads.into_future());
    assert_eq!(marks(&handle, 0..1).await, [Some(0)]);
    assert_eq!(taken.load(Ordering::Relaxed), 0);
    assert_eq!(counts(&streamed.await.expect("a report")), (1, 8, 0));
    assert_eq!(taken.load(Ordering::Relaxed), 9);
}
