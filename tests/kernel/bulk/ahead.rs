//! Many changes are taken and encoded on a second thread.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use ctnetlink::{Change, ConntrackHandle, Filter, Patch, Report, Status};
use futures::channel::mpsc;
use futures::{FutureExt, SinkExt, StreamExt, stream};
use libtest_mimic::Trial;

use super::{
    AHEAD, AHEAD_THREAD, BATCH, BULK, bulk, connect, counts, fill, found, mark, marks, udp,
};
use crate::common::{Held, alone, until};
use crate::support::count;
use crate::support::visible::visible_when;

pub(super) fn tests() -> Vec<Trial> {
    let mut tests = crate::trials!["bulk::ahead":
        only_many_changes_have_a_second_thread,
        a_pause_begins_the_count_again,
        changes_that_need_a_look_stay_in_order,
        invalid_changes_are_told_in_order,
        it_takes_so_many_and_no_more,
        the_source_is_dropped_before_the_report,
        what_a_list_finds_is_not_taken_ahead,
        a_stream_that_becomes_slow,
    ];
    tests.extend(alone!("bulk::ahead":
        the_thread_ends_with_the_request,
        the_source_is_dropped_before_a_stop_is_told,
    ));
    tests
}

/// Enough changes to start the second thread.
const ALL: u16 = 40 * BATCH as u16;

/// The number of changes before the second thread starts.
const BEFORE: usize = 8 * BATCH;

/// The second thread needs a second processor.
fn has_second() -> bool {
    thread::available_parallelism().is_ok_and(|processors| processors.get() > 1)
}

async fn only_many_changes_have_a_second_thread() {
    let handle = connect();
    fill(&handle, ALL).await;
    let takers = async |changes: u16| {
        let takers = Takers::default();
        let marks = (0..changes).map(move |n| mark(n, changes.into()));
        let report = bulk(&handle, takers.note(marks)).await;
        assert_eq!(counts(&report), (changes.into(), 0, 0));
        takers.counts()
    };
    assert_eq!(takers(BEFORE as u16).await, (BEFORE, 0));
    assert_eq!(takers(ALL).await, split(ALL.into(), BEFORE));
    let all = usize::from(ALL);
    assert_eq!(marks(&handle, 0..ALL).await, vec![Some(ALL.into()); all]);
}

/// A pause makes a send that is not full, so the full ones before it do not count.
async fn a_pause_begins_the_count_again() {
    let handle = connect();
    fill(&handle, ALL).await;
    let takers = Takers::default();
    // One send less than would start the thread, and a send of one change.
    let first = BEFORE - BATCH + 1;
    let mut marks = takers.note((0..ALL).map(|n| mark(n, 7)));
    let mut taken = 0;
    let mut has_paused = false;
    let stream = stream::poll_fn(move |cx| {
        if taken == first && !has_paused {
            has_paused = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        taken += 1;
        Poll::Ready(marks.next())
    });
    let report = handle.bulk_stream(stream).await.expect("a report");
    assert_eq!(counts(&report), (ALL.into(), 0, 0));
    assert_eq!(takers.counts(), split(ALL.into(), first + BEFORE));
}

/// Counts the changes that each thread takes.
#[derive(Default)]
struct Takers(Arc<Mutex<HashMap<String, usize>>>);

impl Takers {
    fn note<T, I: Iterator<Item = T>>(&self, changes: I) -> impl Iterator<Item = T> + use<T, I> {
        let takers = self.0.clone();
        changes.inspect(move |_| {
            let name = thread::current().name().unwrap_or_default().to_owned();
            *takers.lock().expect("the names").entry(name).or_default() += 1;
        })
    }

    /// The changes that the first and the second thread took.
    fn counts(&self) -> (usize, usize) {
        let takers = self.0.lock().expect("the names");
        let of = |name| takers.get(name).copied().unwrap_or_default();
        (of(BULK), of(AHEAD_THREAD))
    }
}

/// What each thread takes if the second one starts after `first` changes.
fn split(all: usize, first: usize) -> (usize, usize) {
    match has_second() {
        true => (first, all - first),
        false => (all, 0),
    }
}

/// Each flow gets a mark, a mark and a status, a mark again, and every fourth is deleted by its
/// tuple.
async fn changes_that_need_a_look_stay_in_order() {
    let handle = connect();
    let flows = ALL / 4;
    fill(&handle, flows).await;
    let changes = (0..flows).flat_map(|n| {
        let both = Patch::new().mark(2).status(Status::ASSURED);
        let last = match n % 4 {
            0 => Change::delete(udp(n)),
            _ => mark(n, 4),
        };
        [mark(n, 1), Change::update(udp(n), both), mark(n, 3), last]
    });
    let report = bulk(&handle, changes).await;
    assert_eq!(counts(&report), (ALL.into(), 0, 0));
    for (n, flow) in found(&handle, (0..flows).map(udp)).await.iter().enumerate() {
        let seen = flow
            .as_ref()
            .map(|flow| (flow.mark, flow.status.contains(Status::ASSURED)));
        assert_eq!(seen, (n % 4 > 0).then_some((Some(4), true)), "flow {n}");
    }
}

async fn invalid_changes_are_told_in_order() {
    let handle = connect();
    fill(&handle, ALL).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let results = seen.clone();
    let changes = (0..ALL).map(|n| match n % 3 {
        0 => Change::update(udp(n), Patch::new()),
        1 => mark(n, 7),
        _ => mark(n + ALL, 7),
    });
    let report = handle.bulk(changes).on_item(move |change, outcome| {
        use ctnetlink::Outcome::{Applied, Failed, Gone};
        let outcome = match outcome {
            Failed(_) => 0,
            Applied => 1,
            Gone => 2,
            _ => 3,
        };
        results
            .lock()
            .expect("the list")
            .push((change.key(), outcome));
    });
    let report: Report = report.await.expect("a report");
    let third = |rest| (0..ALL).filter(|n| n % 3 == rest).count() as u64;
    assert_eq!(counts(&report), (third(1), third(2), third(0)));
    let expected = (0..ALL).map(|n| {
        let flow = if n % 3 == 2 { n + ALL } else { n };
        (udp(flow).into(), u32::from(n % 3))
    });
    assert_eq!(
        *seen.lock().expect("the list"),
        expected.collect::<Vec<_>>()
    );
}

/// The source of a request whose watcher blocks.
async fn it_takes_so_many_and_no_more() {
    let handle = connect();
    fill(&handle, ALL).await;
    let (updates, taken) = super::counted((0..ALL).map(|n| mark(n, 7)));
    let now = taken.clone();
    let taken_now = move || now.load(std::sync::atomic::Ordering::Relaxed);
    let most = Arc::new(Mutex::new(0));
    let seen = most.clone();
    let report = handle.bulk(updates).on_progress(move |report| {
        if report.done() == 2 * BEFORE as u64 && has_second() {
            // Meanwhile the source is read further.
            while taken_now() - report.done() < BATCH as u64 {
                thread::yield_now();
            }
        }
        let ahead = taken_now() - report.done();
        let mut most = seen.lock().expect("the number");
        *most = ahead.max(*most);
        ControlFlow::Continue(())
    });
    assert_eq!(counts(&report.await.expect("a report")), (ALL.into(), 0, 0));
    let most = *most.lock().expect("the number");
    assert!(most <= AHEAD, "{most} changes ahead");
}

/// Sets a flag when it is dropped.
struct Told(Arc<Mutex<bool>>);

impl Drop for Told {
    fn drop(&mut self) {
        // It may use the runtime of the caller.
        tokio::spawn(async {});
        *self.0.lock().expect("the flag") = true;
    }
}

async fn the_source_is_dropped_before_the_report() {
    let handle = connect();
    fill(&handle, ALL).await;
    for round in 0..20 {
        let is_dropped = Arc::new(Mutex::new(false));
        let told = Told(is_dropped.clone());
        let changes = (0..ALL).map(move |n| {
            let _held = &told;
            mark(n, round)
        });
        let report = match round % 2 {
            0 => handle.bulk(changes).await,
            _ => handle.bulk_stream(stream::iter(changes)).await,
        };
        assert!(*is_dropped.lock().expect("the flag"), "round {round}");
        assert_eq!(report.expect("a report").applied, ALL.into());
    }
}

/// Also when the request is stopped, or its watcher panics.
async fn the_source_is_dropped_before_a_stop_is_told() {
    let handle = connect();
    fill(&handle, ALL).await;
    for round in 0..40 {
        let is_dropped = Arc::new(Mutex::new(false));
        let told = Told(is_dropped.clone());
        let changes = (0..ALL).map(move |n| {
            let _held = &told;
            // The source is at work when the request stops.
            thread::sleep(Duration::from_micros(20));
            mark(n, round)
        });
        let pending = stream::iter(changes).chain(stream::pending());
        let stops = round % 2 == 0;
        let bulk = handle.bulk_stream(pending).on_progress(move |report| {
            match report.done() {
                0..1000 => return ControlFlow::Continue(()),
                _ if stops => {}
                _ => std::panic::panic_any("a watcher"),
            }
            ControlFlow::Break(())
        });
        let ended = AssertUnwindSafe(bulk.into_future()).catch_unwind().await;
        assert!(*is_dropped.lock().expect("the flag"), "round {round}");
        assert_eq!(ended.is_ok(), stops);
    }
}

/// A flow of a list is changed soon after it was listed.
async fn what_a_list_finds_is_not_taken_ahead() {
    let handle = connect();
    fill(&handle, ALL).await;
    let report = handle.change_matching(Filter::default(), |flow| {
        assert_eq!(thread::current().name(), Some(BULK));
        Some(Change::update(flow, Patch::new().mark(5)))
    });
    let report = report.await.expect("a report");
    assert_eq!(counts(&report), (ALL.into(), 0, 0));
}

/// A change is made as soon as it comes, also after many that came at once.
async fn a_stream_that_becomes_slow() {
    let handle = connect();
    fill(&handle, ALL).await;
    let (mut sender, receiver) = mpsc::channel(0);
    let many = stream::iter((0..ALL).map(|n| mark(n, 1)));
    let bulk = tokio::spawn(handle.bulk_stream(many.chain(receiver)).into_future());
    for n in 0..50 {
        sender.send(mark(n, 7)).await.expect("room for one");
        visible_when(&handle, udp(n), |flow| flow.mark == Some(7)).await;
    }
    assert!(!bulk.is_finished());
    drop(sender);
    let report = bulk.await.expect("a task").expect("a report");
    assert_eq!(counts(&report), (u64::from(ALL) + 50, 0, 0));
}

fn ahead_threads() -> usize {
    count::threads_named(AHEAD_THREAD)
}

/// The thread ends when the request is done, when it is dropped while its stream waits, and when
/// its watcher stops it.
async fn the_thread_ends_with_the_request() {
    let handle = connect();
    fill(&handle, ALL).await;
    let held = Held::at_rest().await;
    let endless = |handle: &ConntrackHandle| {
        let many = stream::iter((0..ALL).map(|n| mark(n, 1)));
        handle.bulk_stream(many.chain(stream::pending()))
    };
    let waits = tokio::spawn(endless(&handle).into_future());
    let all = async || {
        marks(&handle, 0..ALL)
            .await
            .iter()
            .all(|mark| *mark == Some(1))
    };
    while !all().await {
        tokio::task::yield_now().await;
    }
    assert_eq!(ahead_threads(), usize::from(has_second()));
    waits.abort();
    assert!(waits.await.is_err());
    until(|| ahead_threads() == 0, || "it goes on".into()).await;

    let stopped = endless(&handle).on_progress(|report| match report.done() {
        0..2000 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    });
    assert!(stopped.await.expect("a report").applied >= 2000);
    until(|| ahead_threads() == 0, || "it goes on".into()).await;

    // The thread waits for room while the watcher blocks.
    let (go_on, stand) = std::sync::mpsc::channel::<()>();
    let mut bulk = handle
        .bulk((0..ALL).map(|n| mark(n, 2)))
        .on_progress(move |report| {
            if report.done() == 2 * BEFORE as u64 {
                let _ = stand.recv();
            }
            ControlFlow::Continue(())
        })
        .into_future();
    assert!((&mut bulk).now_or_never().is_none());
    until(
        || ahead_threads() == usize::from(has_second()),
        || "none".into(),
    )
    .await;
    drop(bulk);
    drop(go_on);
    until(|| ahead_threads() == 0, || "it goes on".into()).await;
    held.again().await;
}
