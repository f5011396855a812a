//! Futures that are polled once and then never again do not delay other requests.

use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ctnetlink::{ConntrackHandle, RequestFuture, Table};
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt, stream};
use libtest_mimic::Trial;
use tokio::time::{sleep, timeout};

use super::{Held, alone, connect, fill, list, memory, rest, udp};
use crate::support::namespace::block_on;
use crate::support::patience;

pub(super) fn tests() -> Vec<Trial> {
    alone!("lanes::unpolled":
        beside_one_that_is_awaited,
        as_a_buffer_whose_loop_marks,
        from_another_task,
        beside_a_timer_that_marks,
        a_million_that_are_dropped_leave_nothing,
        ten_thousand_polled_and_dropped_at_random,
        few_polls_of_the_connection_for_many_requests,
        a_connection_in_a_runtime_of_its_own_sends_all,
    )
}

const MANY: u16 = 256;

fn soon<F: Future>(future: F) -> impl Future<Output = F::Output> {
    timeout(patience::secs(20), future).map(|output| output.expect("at once"))
}

/// Gets, each polled once.
fn polled_once(handle: &ConntrackHandle) -> FuturesUnordered<impl Future> {
    let gets = (0..MANY).map(|n| handle.get(udp(n)).into_future());
    let mut futures: FuturesUnordered<_> = gets.collect();
    assert!(futures.next().now_or_never().is_none());
    futures
}

async fn beside_one_that_is_awaited() {
    let handle = connect();
    fill(&handle, 2).await;
    let resting = polled_once(&handle);
    assert!(
        soon(handle.get(udp(1)).into_future())
            .await
            .expect("an answer")
            .is_some()
    );
    let answers = soon(resting.collect::<Vec<_>>()).await;
    assert_eq!(answers.len(), usize::from(MANY));
}

async fn as_a_buffer_whose_loop_marks() {
    let handle = connect();
    fill(&handle, 500).await;
    let mut gets = stream::iter(0..500)
        .map(|n| handle.get(udp(n)).into_future())
        .buffer_unordered(MANY.into());
    let mut marked = 0;
    while let Some(flow) = soon(gets.next()).await {
        let flow = flow.expect("an answer").expect("a flow");
        soon(handle.set_mark(&flow, 7).into_future())
            .await
            .expect("a mark");
        marked += 1;
    }
    assert_eq!(marked, 500);
}

async fn from_another_task() {
    let handle = connect();
    fill(&handle, 2).await;
    let resting = polled_once(&handle);
    let other = handle.clone();
    let mark = tokio::spawn(async move { other.set_mark(udp(1), 7).await });
    soon(mark).await.expect("a task").expect("a mark");
    drop(resting);
}

async fn beside_a_timer_that_marks() {
    let handle = connect();
    fill(&handle, 300).await;
    let mut gets = stream::iter((0..300).cycle().take(3000))
        .map(|n| handle.get(udp(n)).into_future())
        .buffer_unordered(MANY.into());
    let (mut seen, mut marks) = (0, 0);
    loop {
        tokio::select! {
            flow = gets.next() => match flow {
                Some(flow) => seen += usize::from(flow.expect("an answer").is_some()),
                None => break,
            },
            () = sleep(Duration::from_millis(1)) => {
                soon(handle.set_mark(udp(1), marks).into_future()).await.expect("a mark");
                marks += 1;
            }
        }
    }
    assert_eq!(seen, 3000);
}

/// Also while the connection is not polled.
async fn a_million_that_are_dropped_leave_nothing() {
    let (connection, handle) = ctnetlink::new_connection().expect("a connection");
    let round = |all: u16| {
        let gets: Vec<_> = (0..all)
            .map(|n| {
                let mut get = handle.get(udp(n)).into_future();
                assert!((&mut get).now_or_never().is_none());
                get
            })
            .collect();
        drop(gets);
    };
    round(10_000);
    let before = memory("VmRSS");
    let rounds = patience::rounds(100);
    for _ in 0..rounds {
        round(10_000);
    }
    let grown = memory("VmRSS").saturating_sub(before);
    // 16 bytes each, and what the allocator keeps.
    assert!(grown < 1024 + rounds * 160, "{grown} KiB are left");
    tokio::spawn(connection);
    assert_eq!(
        soon(handle.get(udp(1)).into_future())
            .await
            .expect("an answer"),
        None
    );
}

/// Together with lists and flushes. Nothing hangs, and nothing is left.
async fn ten_thousand_polled_and_dropped_at_random() {
    let handle = connect();
    assert_eq!(rest(list(&handle).await).await, 0);
    let held = Held::at_rest().await;
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    for _ in 0..20 {
        let flush = tokio::spawn(handle.flush(Table::Conntrack).into_future());
        let lists: Vec<_> = (0..4)
            .map(|_| tokio::spawn(handle.list(Table::Conntrack).into_future()))
            .collect();
        let mut futures: Vec<_> = (0..500)
            .map(|n: u16| {
                let polls = next(4);
                let future: Pin<Box<dyn Future<Output = ()>>> = match next(5) {
                    0 => Box::pin(done(handle.get(udp(n)).into_future())),
                    1 => Box::pin(done(handle.set_mark(udp(n), 1).into_future())),
                    2 => Box::pin(done(handle.create(super::new(n)).into_future())),
                    3 => Box::pin(done(handle.delete(udp(n)).into_future())),
                    _ => Box::pin(done(handle.get(udp(n)).zero_counters().into_future())),
                };
                Some((polls, future))
            })
            .collect();
        for _ in 0..4 {
            for place in &mut futures {
                let Some((polls, future)) = place else {
                    continue;
                };
                let ended = *polls == 0 || future.as_mut().now_or_never().is_some();
                *polls = polls.saturating_sub(1);
                if ended {
                    *place = None;
                }
            }
            tokio::task::yield_now().await;
        }
        drop(futures);
        soon(flush).await.expect("a task").expect("a flush");
        for list in lists {
            let flows = soon(list).await.expect("a task").expect("a stream");
            if next(2) == 0 {
                rest(flows).await;
            }
        }
        soon(handle.get(udp(1)).into_future())
            .await
            .expect("an answer");
    }
    held.again().await;
}

async fn done<T>(request: RequestFuture<T>) {
    // Its result depends on the flushes.
    let _ = request.await;
}

async fn few_polls_of_the_connection_for_many_requests() {
    let (mut connection, handle) = ctnetlink::new_connection().expect("a connection");
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    tokio::spawn(poll_fn(move |cx| {
        counted.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut connection).poll(cx).map(drop)
    }));
    fill(&handle, 1).await;
    let polled = || polls.swap(0, Ordering::SeqCst);
    polled();
    for n in 0..100 {
        handle.set_mark(udp(0), n).await.expect("a mark");
    }
    // Requests one after the other need only a few polls of the connection, which let other tasks
    // run.
    let alone = polled();
    assert!((2..=10).contains(&alone), "{alone} polls for 100 requests");
    // Requests that come together are sent together, except the first few.
    let marks = (0..512).map(|n| handle.set_mark(udp(0), n).into_future());
    for marked in join_all(marks).await {
        marked.expect("a mark");
    }
    let together = polled();
    assert!((1..=10).contains(&together), "{together} polls for 512");
    let flow = handle.get(udp(0)).await.expect("an answer");
    assert_eq!(flow.expect("the flow").mark, Some(511), "the last");
}

/// Then no thread of the caller's runtime waits for the kernel.
async fn a_connection_in_a_runtime_of_its_own_sends_all() {
    let (connection, handle) = ctnetlink::new_connection().expect("a connection");
    let driver = std::thread::spawn(move || block_on(connection));
    fill(&handle, 1).await;
    for n in 0..100 {
        let mut mark = handle.set_mark(udp(0), n).into_future();
        assert!((&mut mark).now_or_never().is_none(), "sent by the caller");
        mark.await.expect("a mark");
    }
    drop(handle);
    let ended = driver.join().expect("the connection's thread");
    ended.expect("the connection ends well");
}
