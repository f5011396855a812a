//! Where changes come from: iterators and streams, at their own pace.

use std::future::IntoFuture;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use ctnetlink::{Bulk, Change, ConntrackHandle, Report, Tuple};
use futures::channel::mpsc;
use futures::{Stream, StreamExt, stream};
use libtest_mimic::Trial;
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};

use super::{BATCH, connect, counts, fill, mark, marks, udp};
use crate::common::until;
use crate::support::visible::visible_when;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["bulk::sources":
        a_change_is_made_as_it_comes,
        what_is_there_leaves_together,
        a_channel_of_the_runtimes,
        a_stream_that_sleeps,
        what_the_caller_gives_may_use_its_runtime,
        keys_may_come_after_the_stream,
        a_stream_that_asks_the_same_handle,
        an_iterator_is_not_asked_after_its_end,
        a_stream_is_not_asked_after_its_end,
    ]
}

async fn a_change_is_made_as_it_comes() {
    let handle = connect();
    fill(&handle, 100).await;
    let (mut sender, receiver) = mpsc::channel(0);
    let bulk = tokio::spawn(handle.bulk_stream(receiver).into_future());
    for n in 0..100 {
        sender.try_send(mark(n, 7)).expect("room for one");
        visible_when(&handle, udp(n), |flow| flow.mark == Some(7)).await;
    }
    assert!(!bulk.is_finished());
    drop(sender);
    let report = bulk.await.expect("a task").expect("a report");
    assert_eq!(counts(&report), (100, 0, 0));
}

/// Spawns a task when it is dropped.
struct Spawns(tokio::sync::mpsc::Sender<u64>);

impl Drop for Spawns {
    fn drop(&mut self) {
        let told = self.0.clone();
        tokio::spawn(async move { told.send(u64::MAX).await });
    }
}

async fn what_the_caller_gives_may_use_its_runtime() {
    let handle = connect();
    fill(&handle, 100).await;
    let (sender, mut receiver) = tokio::sync::mpsc::channel(3);
    let (spawns, progress) = (Spawns(sender.clone()), sender);
    let changes = (0..100).map(move |n| {
        let _held = &spawns;
        mark(n, 7)
    });
    let report = handle.bulk(changes).on_progress(move |report| {
        let (told, done) = (progress.clone(), report.done());
        tokio::spawn(async move { told.send(done).await });
        ControlFlow::Continue(())
    });
    assert_eq!(counts(&report.await.expect("a report")), (100, 0, 0));
    let mut told = Vec::new();
    while let Some(done) = receiver.recv().await {
        told.push(done);
    }
    told.sort_unstable();
    assert_eq!(told, [64, 100, u64::MAX]);
}

async fn keys_may_come_after_the_stream() {
    let handle = connect();
    fill(&handle, 2).await;
    let (mut sender, receiver) = mpsc::channel::<Tuple>(0);
    let mut found = handle.get_many_stream(receiver).await.expect("a stream");
    for n in 0..2 {
        sender.try_send(udp(n)).expect("room for one");
        let (key, flow) = found.next().await.expect("an item").expect("an answer");
        assert_eq!((key, flow.is_some()), (udp(n).into(), true));
    }
    drop(sender);
    assert!(found.next().await.is_none());
}

/// The number of changes that were done after each send.
async fn sends(bulk: Bulk) -> (Report, Vec<u64>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sends = seen.clone();
    let report = bulk.on_progress(move |report| {
        sends.lock().expect("the list").push(report.done());
        ControlFlow::Continue(())
    });
    let report = report.await.expect("a report");
    let seen = std::mem::take(&mut *seen.lock().expect("the list"));
    (report, seen)
}

async fn what_is_there_leaves_together() {
    let handle = connect();
    fill(&handle, 200).await;
    let updates = || (0..200).map(|n| mark(n, 7));
    let expected = [64, 128, 192, 200];
    assert_eq!(sends(handle.bulk(updates())).await.1, expected);
    let all = stream::iter(updates());
    assert_eq!(sends(handle.bulk_stream(all)).await.1, expected);

    // Ten changes at a time, with a pause in between.
    let mut n = 0;
    let mut rests = true;
    let tens = stream::poll_fn(move |cx| {
        if n % 10 == 0 && rests {
            rests = false;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        rests = true;
        n += 1;
        Poll::Ready((n <= 200).then(|| mark(n - 1, 8)))
    });
    let (report, seen) = sends(handle.bulk_stream(tens)).await;
    assert_eq!(seen, (1..=20).map(|ten| ten * 10).collect::<Vec<_>>());
    assert_eq!(counts(&report), (200, 0, 0));
    assert_eq!(marks(&handle, 0..200).await, [Some(8); 200]);
}

/// tokio's channels return `Pending` when a task has polled too often in a row.
async fn a_channel_of_the_runtimes() {
    const ALL: u16 = 5000;
    let handle = connect();
    fill(&handle, ALL).await;
    let (sender, mut receiver) = tokio::sync::mpsc::channel(ALL.into());
    for n in 0..ALL {
        sender.try_send(mark(n, 7)).expect("room");
    }
    drop(sender);
    let updates = stream::poll_fn(move |cx| receiver.poll_recv(cx));
    let report = handle.bulk_stream(updates).await.expect("a report");
    assert_eq!(counts(&report), (ALL.into(), 0, 0));
    assert_eq!(marks(&handle, 0..ALL).await, vec![Some(7); ALL.into()]);
}

fn sleepy(changes: u16) -> impl Stream<Item = Change> + Send {
    stream::iter(0..changes).then(|n| async move {
        sleep(Duration::from_millis(5)).await;
        mark(n, 7)
    })
}

/// The stream's timers are those of the runtime in which the bulk is awaited.
async fn a_stream_that_sleeps() {
    let bulk = async |handle: &ConntrackHandle| {
        let began = Instant::now();
        let report = handle.bulk_stream(sleepy(20)).await.expect("a report");
        assert_eq!(counts(&report), (20, 0, 0));
        assert!(began.elapsed() >= Duration::from_millis(100));
    };
    let handle = connect();
    fill(&handle, 20).await;
    bulk(&handle).await;
    assert_eq!(marks(&handle, 0..20).await, [Some(7); 20]);

    let inside = thread::spawn(move || {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime");
        runtime.block_on(async {
            let handle = connect();
            bulk(&handle).await;
            let report = tokio::spawn(handle.bulk_stream(sleepy(20)).into_future());
            assert_eq!(report.await.expect("a task").expect("a report").applied, 20);
        });
    });
    until(|| inside.is_finished(), || "it hangs".into()).await;
    inside.join().expect("a thread");
}

/// Each change adds one to the mark that it reads.
async fn a_stream_that_asks_the_same_handle() {
    let handle = connect();
    fill(&handle, 100).await;
    let asked = handle.clone();
    let updates = stream::iter(0..300).then(move |n| {
        let asked = asked.clone();
        async move {
            let flow = asked.get(udp(n % 100)).await.expect("an answer");
            mark(
                n % 100,
                flow.and_then(|flow| flow.mark).expect("a mark") + 1,
            )
        }
    });
    let report = handle.bulk_stream(updates).await.expect("a report");
    assert_eq!(counts(&report), (300, 0, 0));
    assert_eq!(marks(&handle, 0..100).await, [Some(3); 100]);
}

/// Sources that end just before, at and after a whole send.
async fn each_end(bulk: impl Fn(&ConntrackHandle, u16) -> Bulk) {
    let handle = connect();
    let batch = BATCH as u16;
    fill(&handle, 2 * batch + 1).await;
    for changes in [0, 1, batch - 1, batch, batch + 1, 2 * batch, 2 * batch + 1] {
        let report = bulk(&handle, changes).await.expect("a report");
        assert_eq!(counts(&report), (changes.into(), 0, 0));
    }
}

async fn an_iterator_is_not_asked_after_its_end() {
    each_end(|handle, changes| {
        let mut asked = 0;
        handle.bulk(std::iter::from_fn(move || {
            asked += 1;
            assert!(asked <= changes + 1, "asked after its end");
            (asked <= changes).then(|| mark(asked - 1, 7))
        }))
    })
    .await;
}

async fn a_stream_is_not_asked_after_its_end() {
    each_end(|handle, changes| {
        let mut asked = 0;
        handle.bulk_stream(stream::poll_fn(move |_| {
            asked += 1;
            assert!(asked <= changes + 1, "asked after its end");
            Poll::Ready((asked <= changes).then(|| mark(asked - 1, 7)))
        }))
    })
    .await;
    // A source that waits before its end.
    let handle = connect();
    let mut polls = 0;
    let silent = stream::poll_fn(move |cx| {
        polls += 1;
        cx.waker().wake_by_ref();
        match polls {
            1..100 => Poll::Pending,
            100 => Poll::Ready(None::<Change>),
            _ => panic!("asked after its end"),
        }
    });
    let report = handle.bulk_stream(silent).await.expect("a report");
    assert_eq!(report.done(), 0);
}
