//! Cancelled requests, and their effects.

use std::future::IntoFuture;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use ctnetlink::{Change, ConntrackHandle, Filter, Options, Patch, RequestFuture, Table};
use libtest_mimic::Trial;

use super::{all_applied, listed};
use crate::common::{Held, alone, connect, list, new, rest, until};
use crate::polled::{Drop, polled};
use crate::support::{count, patience};

pub(super) fn tests() -> Vec<Trial> {
    let mut tests = crate::trials!["matching::cancel":
        as_progress_says,
        progress_is_told_after_each_send,
        no_request_timeout_applies,
    ];
    tests.extend(alone!("matching::cancel":
        dropped_in_the_midst,
        dropped_after_every_number_of_polls,
    ));
    tests
}

/// The maximum number of changes in one send.
const BATCH: u64 = 64;
const FLOWS: u16 = 1000;
const WALK: &str = "ctnetlink-walk";
const BULK: &str = "ctnetlink-bulk";

/// Flows with mark 0.
async fn fill(handle: &ConntrackHandle, flows: u16) {
    let created = handle
        .bulk((0..flows).map(|n| Change::Create(new(n))))
        .await;
    let created = created.expect("a report");
    assert!(created.failed.is_empty());
}

fn unmarked() -> Filter {
    Filter::builder().mark(0).build().expect("a filter")
}

fn by_port() -> Filter {
    let filter = Filter::builder().protocol(17).orig_dst_port(53);
    filter.build().expect("a filter")
}

async fn as_progress_says() {
    let handle = connect();
    fill(&handle, FLOWS).await;
    let stop = |_: &_| ControlFlow::Break(());
    let report = handle.delete_matching(unmarked()).on_progress(stop).await;
    let deleted = report.expect("a report").applied;
    assert!((1..=BATCH).contains(&deleted), "{deleted}");
    let left = u64::from(FLOWS) - deleted;
    assert_eq!(listed(&handle).await.len() as u64, left);

    let patch = Patch::new().mark(7);
    let update = handle.update_matching(unmarked(), patch);
    let report = update
        .on_progress(|report| match report.done() {
            0..200 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        })
        .await;
    let updated = report.expect("a report").applied;
    assert!((200..200 + BATCH).contains(&updated), "{updated}");
    let flows = listed(&handle).await;
    let marked = flows.iter().filter(|it| it.mark == Some(7)).count();
    assert_eq!((marked as u64, flows.len() as u64), (updated, left));

    // Another request deletes the rest.
    let report = handle.delete_matching(unmarked()).await;
    all_applied(&report.expect("a report"), flows.len() - marked, "the rest");
}

async fn progress_is_told_after_each_send() {
    let handle = connect();
    fill(&handle, FLOWS).await;
    let (sender, receiver) = mpsc::channel();
    let delete = handle.delete_matching(unmarked()).on_progress(move |it| {
        sender.send(it.done()).expect("a test");
        ControlFlow::Continue(())
    });
    let report = delete.await.expect("a report");
    all_applied(&report, FLOWS.into(), "all");
    let told: Vec<u64> = receiver.iter().collect();
    let steps: Vec<u64> = told.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(steps.iter().all(|it| (1..=BATCH).contains(it)), "{told:?}");
    assert!((1..=BATCH).contains(&told[0]));
    assert_eq!(told.last(), Some(&FLOWS.into()));

    // There is no progress if nothing matches.
    let silent = |_: &_| panic!("of nothing");
    let report = handle.delete_matching(unmarked()).on_progress(silent).await;
    all_applied(&report.expect("a report"), 0, "none");
}

async fn no_request_timeout_applies() {
    let options = Options::new().request_timeout(Duration::from_secs(1));
    let handle = options.connect().await.expect("a connection");
    fill(&handle, FLOWS).await;
    let slow = |_: &_| {
        std::thread::sleep(Duration::from_millis(100));
        ControlFlow::Continue(())
    };
    let report = handle.delete_matching(unmarked()).on_progress(slow).await;
    all_applied(&report.expect("a report"), FLOWS.into(), "slowly");
}

/// While the thread of the changes waits, and the walk waits for it.
async fn dropped_in_the_midst() {
    let handle = connect();
    fill(&handle, FLOWS).await;
    assert_eq!(rest(list(&handle).await).await, FLOWS.into());
    let held = Held::at_rest().await;
    for update in [true, false] {
        let (reached, at_progress) = mpsc::channel();
        let (go_on, gone) = mpsc::channel::<()>();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let request = match update {
            true => handle.update_matching(unmarked(), Patch::new().mark(0)),
            false => handle.delete_matching(unmarked()),
        };
        let request = request.on_progress(move |report| {
            counted.fetch_add(1, Ordering::Relaxed);
            reached.send(report.applied).expect("a test");
            let _ = gone.recv_timeout(patience::secs(30));
            ControlFlow::Continue(())
        });
        let task = tokio::spawn(request.into_future());
        let mut done = None;
        until(
            || {
                done = done.or(at_progress.try_recv().ok());
                done.is_some()
            },
            || "no progress".into(),
        )
        .await;
        assert_eq!(count::threads_named(BULK), 1);
        task.abort();
        assert!(task.await.expect_err("aborted").is_cancelled());
        drop(go_on);
        held.again().await;
        // Nothing more was sent.
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        let removed = if update { 0 } else { done.expect("progress") };
        let left = u64::from(FLOWS) - removed;
        assert_eq!(listed(&handle).await.len() as u64, left);
        held.again().await;
    }
}

async fn dropped_after_every_number_of_polls() {
    let handle = connect();
    fill(&handle, 100).await;
    assert_eq!(rest(list(&handle).await).await, 100);
    let held = Held::at_rest().await;
    let patch = || Patch::new().mark(0);
    every_drop(&handle, || handle.delete_matching(unmarked()).into_future()).await;
    every_drop(&handle, || handle.delete_matching(by_port()).into_future()).await;
    every_drop(&handle, || {
        handle.update_matching(unmarked(), patch()).into_future()
    })
    .await;
    let flush = |filter| handle.flush(Table::Conntrack).filter(filter).into_future();
    every_drop(&handle, || flush(unmarked())).await;
    every_drop(&handle, || flush(by_port())).await;
    held.again().await;
    assert_eq!(count::threads_named(WALK), 0);
    assert_eq!(count::threads_named(BULK), 0);
}

/// Drops the future after one poll, then a new one after two polls, and so on, until one completes.
/// The handle must work after each drop.
async fn every_drop<T: std::fmt::Debug>(
    handle: &ConntrackHandle,
    mut make: impl FnMut() -> RequestFuture<T>,
) {
    for drop in [Drop::Waiting, Drop::Woken] {
        for polls in 0.. {
            assert!(polls < 50, "it never completes");
            fill_again(handle).await;
            let outcome = polled(make(), polls, drop).await;
            let found = handle.get(crate::common::udp(500)).await;
            found.unwrap_or_else(|error| panic!("after {polls} polls, {drop:?}: {error}"));
            if let Some(result) = outcome {
                result.expect("success");
                assert!(polls >= 1, "{polls} polls");
                break;
            }
        }
    }
}

/// Creates the flows that are gone. For the others, the create fails.
async fn fill_again(handle: &ConntrackHandle) {
    let created = handle.bulk((0..100).map(|n| Change::Create(new(n)))).await;
    assert_eq!(created.expect("a report").done(), 100);
}
