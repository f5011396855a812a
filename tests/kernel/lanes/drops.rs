//! Futures and streams dropped after every number of polls.

use std::future::{IntoFuture, poll_fn};
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::Poll;

use ctnetlink::{ConntrackHandle, Error, FlowStream, Masked, RequestFuture, Status, Table};
use futures::StreamExt;
use libtest_mimic::Trial;

use super::{Held, WALK, alone, connect, fill, list, new, rest, udp};
use crate::polled::{Drop, polled};
use crate::support::count;

/// Enough for three datagrams: the first one from the kernel is small.
const FLOWS: u16 = 40;

pub(super) fn tests() -> Vec<Trial> {
    alone!("lanes::drops":
        requests,
        requests_that_nobody_waits_for,
        walks,
        streams,
    )
}

/// Drops the future after one poll, then a new one after two polls, and so on, until one completes.
/// That must take at least `least` polls. The handle must work after each drop.
async fn every_drop<T, F>(handle: &ConntrackHandle, least: usize, mut make: impl FnMut(u16) -> F)
where
    F: IntoFuture<Output = Result<T, Error>, IntoFuture = RequestFuture<T>>,
    T: std::fmt::Debug,
{
    static NEXT: AtomicU16 = AtomicU16::new(1000);
    for drop in [Drop::Waiting, Drop::Woken] {
        for polls in 0.. {
            assert!(polls < 50, "it never completes");
            let flow = NEXT.fetch_add(1, Ordering::Relaxed);
            handle.create(new(flow)).await.expect("a flow");
            let outcome = polled(make(flow).into_future(), polls, drop).await;
            let found = handle.get(udp(flow)).await;
            found.unwrap_or_else(|error| panic!("after {polls} polls, {drop:?}: {error}"));
            if let Some(result) = outcome {
                result.expect("success");
                assert!(polls >= least, "{polls} polls, where {least} were due");
                break;
            }
        }
    }
}

async fn requests() {
    let handle = connect();
    handle.get(udp(0)).await.expect("an answer");
    let held = Held::at_rest().await;
    every_drop(&handle, 1, |n| handle.get(udp(n))).await;
    every_drop(&handle, 1, |n| handle.get(udp(n)).zero_counters()).await;
    every_drop(&handle, 1, |n| handle.create(new(n + 1000))).await;
    every_drop(&handle, 1, |n| handle.set_mark(udp(n), Masked::new(1, 3))).await;
    // This reads the status, and then writes it. The connection does both by itself.
    let assured = |n| handle.update(udp(n)).status(Status::ASSURED);
    every_drop(&handle, 2, assured).await;
    every_drop(&handle, 2, |n| handle.delete(udp(n))).await;
    held.again().await;
}

/// More requests than can be in flight at once.
async fn requests_that_nobody_waits_for() {
    let handle = connect();
    handle.get(udp(0)).await.expect("an answer");
    let held = Held::at_rest().await;
    for drop in [Drop::Waiting, Drop::Woken] {
        for polls in [1, 2] {
            for n in 0..300 {
                let create = handle.create(new(n)).into_future();
                let _ = polled(create, polls, drop).await;
            }
            // All at once, while the connection is not polled.
            let mut left: Vec<_> = (0..300)
                .map(|n| handle.delete(udp(n)).into_future())
                .collect();
            for delete in &mut left {
                assert!(futures::poll!(delete).is_pending());
            }
            std::mem::drop(left);
            handle.get(udp(0)).await.expect("an answer");
        }
    }
    held.again().await;
}

async fn walks() {
    let handle = connect();
    fill(&handle, FLOWS).await;
    let held = Held::at_rest().await;
    every_drop(&handle, 1, |_| handle.list(Table::Conntrack)).await;
    every_drop(&handle, 1, |_| handle.flush(Table::Conntrack)).await;
    held.again().await;
    assert_eq!(count::threads_named(WALK), 0);
}

/// One stream for each number of polls, all at the same time.
async fn streams() {
    let handle = connect();
    fill(&handle, FLOWS).await;
    let held = Held::at_rest().await;
    for drop in [Drop::Waiting, Drop::Woken] {
        let ends = (0..100).map(|polls| {
            let handle = handle.clone();
            tokio::spawn(async move {
                let flows = list(&handle).await;
                let (seen, ended) = read(flows, polls, drop).await;
                // Some of the polls found nothing.
                assert!(seen <= polls, "{seen} flows from {polls} polls");
                (seen, ended)
            })
        });
        let ends = futures::future::join_all(ends.collect::<Vec<_>>()).await;
        let ends: Vec<_> = ends.into_iter().map(|end| end.expect("a task")).collect();
        assert_eq!(ends.first(), Some(&(0, false)));
        assert_eq!(ends.last(), Some(&(FLOWS.into(), true)));
        handle.get(udp(1)).await.expect("an answer");
    }
    held.again().await;
    assert_eq!(count::threads_named(WALK), 0);
    assert_eq!(rest(list(&handle).await).await, FLOWS.into());
}

/// Polls the stream this many times. Returns the number of flows, and whether the stream has ended.
async fn read(mut flows: FlowStream, polls: usize, drop: Drop) -> (usize, bool) {
    let mut seen = 0;
    let mut left = polls;
    let ended = polled(
        poll_fn(|cx| {
            while left > 0 {
                left -= 1;
                match flows.poll_next_unpin(cx) {
                    Poll::Ready(Some(flow)) => {
                        flow.expect("a flow");
                        seen += 1;
                    }
                    Poll::Ready(None) => return Poll::Ready(true),
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(false)
        }),
        polls,
        drop,
    )
    .await;
    (seen, ended.unwrap_or(false))
}
