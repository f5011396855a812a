//! A bulk request that is cancelled: the first changes are made, and no later ones.

use std::future::IntoFuture;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ctnetlink::{Change, ConntrackHandle, Patch, Status};
use futures::stream;
use libtest_mimic::Trial;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::{AHEAD, BATCH, BULK, connect, counted, counts, ended, fill, mark, marks, udp};
use crate::common::{Held, alone, until};
use crate::polled::{Drop, polled};
use crate::support::count;

pub(super) fn tests() -> Vec<Trial> {
    alone!("bulk::cancel":
        it_breaks_after_each_send,
        it_breaks_between_changes_of_two_kinds,
        it_is_dropped_after_each_send,
        it_is_dropped_after_every_number_of_polls,
        it_is_dropped_at_any_time,
        it_is_dropped_while_its_iterator_is_at_work,
        it_is_dropped_while_its_stream_waits,
        a_runtime_that_shuts_down_drops_it,
    )
}

/// Enough sends for a second thread.
const SENDS: u16 = 24;
const ALL: u16 = SENDS * BATCH as u16;

/// The number of flows with the mark. They must be the first ones.
async fn marked(handle: &ConntrackHandle, value: u32) -> u64 {
    ended().await;
    let marks = marks(handle, 0..ALL).await;
    let marked = marks
        .iter()
        .take_while(|mark| **mark == Some(value))
        .count();
    let later = marks[marked..].contains(&Some(value));
    assert!(!later, "a hole behind {marked}");
    marked as u64
}

async fn it_breaks_after_each_send() {
    let handle = connect();
    fill(&handle, ALL).await;
    for sends in 1..=SENDS {
        let value = u32::from(sends);
        let (updates, taken) = counted((0..ALL).map(move |n| mark(n, value)));
        let mut left = sends;
        let report = handle.bulk(updates).on_progress(move |report| {
            left -= 1;
            assert_eq!(report.done(), u64::from(sends - left) * BATCH as u64);
            match left {
                0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
        let report = report.await.expect("a report");
        let done = u64::from(sends) * BATCH as u64;
        assert_eq!(counts(&report), (done, 0, 0));
        assert!(report.incomplete.is_none());
        assert!(taken.load(Ordering::Relaxed) <= done + AHEAD);
        assert_eq!(marked(&handle, value).await, done);
    }
}

/// Changes that need a lookup are sent separately.
async fn it_breaks_between_changes_of_two_kinds() {
    let handle = connect();
    fill(&handle, ALL).await;
    for value in 1.. {
        let patch = move || Patch::new().mark(value);
        let (updates, taken) = counted((0..ALL).map(move |n| match n % 100 {
            30..70 => Change::Update(udp(n).into(), patch().status(Status::ASSURED)),
            _ => mark(n, value),
        }));
        let mut left = value;
        let report = handle.bulk(updates).on_progress(move |_| {
            left -= 1;
            match left {
                0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
        let report = report.await.expect("a report");
        assert_eq!(report.applied, report.done());
        assert!(taken.load(Ordering::Relaxed) <= report.done() + AHEAD);
        assert_eq!(marked(&handle, value).await, report.done());
        if report.done() == ALL.into() {
            assert!(value > SENDS.into(), "no send was of one kind alone");
            break;
        }
    }
}

async fn it_is_dropped_after_each_send() {
    let handle = connect();
    fill(&handle, ALL).await;
    let held = Held::at_rest().await;
    for sends in 1..=SENDS {
        let value = u32::from(sends);
        let (updates, taken) = counted((0..ALL).map(move |n| mark(n, value)));
        let (reached, at) = oneshot::channel();
        let (dropped, go_on) = mpsc::channel::<()>();
        let mut reached = Some(reached);
        let mut left = sends;
        let bulk = handle.bulk(updates).on_progress(move |_| {
            left = left.saturating_sub(1);
            if let Some(reached) = reached.take_if(|_| left == 0) {
                reached.send(()).expect("the test");
                // It waits until the sender is dropped.
                let _ = go_on.recv();
            }
            ControlFlow::Continue(())
        });
        tokio::select! {
            report = bulk => panic!("it ended: {report:?}"),
            reached = at => reached.expect("a send"),
        }
        drop(dropped);
        let done = u64::from(sends) * BATCH as u64;
        assert_eq!(marked(&handle, value).await, done);
        assert!(taken.load(Ordering::Relaxed) <= done + AHEAD);
    }
    held.again().await;
}

async fn it_is_dropped_after_every_number_of_polls() {
    let handle = connect();
    fill(&handle, ALL).await;
    let held = Held::at_rest().await;
    let mut value = 0;
    for when in [Drop::Waiting, Drop::Woken] {
        for polls in 0.. {
            assert!(polls < 50, "it never completes");
            value += 1;
            let (updates, taken) = counted((0..ALL).map(move |n| mark(n, value)));
            let outcome = polled(handle.bulk(updates).into_future(), polls, when).await;
            let marked = marked(&handle, value).await;
            if polls == 0 {
                assert_eq!((taken.load(Ordering::Relaxed), marked), (0, 0));
            }
            assert!(marked % BATCH as u64 == 0, "{marked} marks");
            if let Some(report) = outcome {
                assert_eq!(report.expect("a report").applied, marked);
                assert!(polls >= 1, "it was not polled");
                break;
            }
        }
    }
    held.again().await;
}

async fn it_is_dropped_at_any_time() {
    let handle = connect();
    fill(&handle, ALL).await;
    let held = Held::at_rest().await;
    let mut before_the_end = 0;
    for value in 1..=100_u32 {
        let updates = (0..ALL).map(move |n| mark(n, value));
        let bulk = tokio::spawn(handle.bulk(updates).into_future());
        yield_now().await;
        // The bulk request does not need this thread.
        let wait = Duration::from_micros(u64::from(value) * 10);
        let began = Instant::now();
        while began.elapsed() < wait {}
        bulk.abort();
        let _ = bulk.await;
        let marked = marked(&handle, value).await;
        assert!(marked % BATCH as u64 == 0, "{marked} marks");
        before_the_end += u32::from(marked < ALL.into());
    }
    assert!(before_the_end > 0, "none was dropped before its end");
    held.again().await;
}

async fn it_is_dropped_while_its_iterator_is_at_work() {
    let handle = connect();
    fill(&handle, ALL).await;
    let held = Held::at_rest().await;
    // The first change of a send, one in the middle, the last one, and the first of the next send.
    for place in [0, 1, 63, 64, 100, 1000, 1024] {
        let value = place + 1;
        let (reached, at) = oneshot::channel();
        let (dropped, go_on) = mpsc::channel::<()>();
        let mut pause = Some((reached, go_on));
        let updates = (0..ALL).map(move |n| {
            if let Some((reached, go_on)) = pause.take_if(|_| u32::from(n) == place) {
                reached.send(()).expect("the test");
                let _ = go_on.recv();
            }
            mark(n, value)
        });
        tokio::select! {
            report = handle.bulk(updates) => panic!("it ended: {report:?}"),
            reached = at => reached.expect("a change"),
        }
        drop(dropped);
        // Some of the changes that were taken ahead may be sent.
        let taken = u64::from(place) / BATCH as u64 * BATCH as u64;
        let sent = marked(&handle, value).await;
        let is_right = match taken {
            0..512 => sent == taken,
            _ => (taken - AHEAD..=taken).contains(&sent) && sent % BATCH as u64 == 0,
        };
        assert!(is_right, "{sent} before {place}");
    }
    held.again().await;
}

async fn it_is_dropped_while_its_stream_waits() {
    let handle = connect();
    fill(&handle, ALL).await;
    let held = Held::at_rest().await;
    for changes in [0, 1, 100, 1500] {
        let value = u32::from(changes) + 1;
        let (dropped, is_dropped) = oneshot::channel::<()>();
        let some = stream::iter((0..changes).map(move |n| mark(n, value)));
        let forever = stream::once(async move {
            let _held = dropped;
            std::future::pending().await
        });
        let changes_and_wait = futures::StreamExt::chain(some, forever);
        let bulk = tokio::spawn(handle.bulk_stream(changes_and_wait).into_future());
        let waits = async || {
            let marks = marks(&handle, 0..changes).await;
            marks.iter().all(|mark| *mark == Some(value))
        };
        while !waits().await {
            sleep(Duration::from_millis(1)).await;
        }
        // The thread that made the marks needs a moment to end.
        until(|| count::threads_named(BULK) == 1, || "it is gone".into()).await;
        bulk.abort();
        is_dropped.await.expect_err("the stream is dropped");
        assert_eq!(marked(&handle, value).await, changes.into());
    }
    held.again().await;
}

/// While it makes changes, and while its stream waits.
async fn a_runtime_that_shuts_down_drops_it() {
    let handle = connect();
    fill(&handle, ALL).await;
    let held = Held::at_rest().await;
    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        for waits in [false, true] {
            let other = builder.worker_threads(1).enable_all().build();
            let other = other.expect("a runtime");
            let (dropped, is_dropped) = oneshot::channel::<()>();
            let (began, begins) = oneshot::channel();
            let mut began = Some(began);
            let updates = stream::unfold((dropped, 0), move |(dropped, n)| {
                let begins = began.take();
                async move {
                    begins.map(|begins| begins.send(()));
                    if waits {
                        std::future::pending::<()>().await;
                    }
                    Some((mark(n % ALL, 7), (dropped, n + 1)))
                }
            });
            let endless = handle.bulk_stream(updates).into_future();
            // On a thread outside of this runtime, because a runtime waits for its threads.
            let shut_down = thread::spawn(move || {
                other.spawn(endless);
                other.block_on(begins).expect("a change");
                drop(other);
            });
            is_dropped.await.expect_err("the stream is dropped");
            until(|| shut_down.is_finished(), || "it hangs".into()).await;
            shut_down.join().expect("a runtime that shuts down");
            ended().await;
        }
    }
    held.again().await;
}
