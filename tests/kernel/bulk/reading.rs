//! The stream of many reads: its pace and its end.

use std::future::{IntoFuture, poll_fn};
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use ctnetlink::{FoundStream, Tuple};
use futures::{StreamExt, stream};
use libtest_mimic::Trial;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::{BATCH, BULK, connect, counted, ended, fill, udp};
use crate::common::{Held, alone, until};
use crate::polled::{Drop, polled};
use crate::support::count;

pub(super) fn tests() -> Vec<Trial> {
    alone!("bulk::reading":
        it_waits_for_its_reader,
        it_is_dropped_after_every_number_of_polls,
        it_is_dropped_while_its_keys_are_awaited,
    )
}

const ALL: u16 = 20 * BATCH as u16;

/// The window that is being read, the one that waits, and the one that the thread holds.
const AHEAD: u64 = 3 * BATCH as u64;

/// Keys. Every third flow is not in the table.
fn keys() -> impl Iterator<Item = Tuple> + Send {
    (0..ALL).map(|n| udp(if n % 3 == 0 { n + ALL } else { n }))
}

/// Reads this many items. Each must be the flow of its key.
async fn read(found: &mut FoundStream, from: u16, items: u16) {
    for n in from..from + items {
        let (key, flow) = found.next().await.expect("an item").expect("a flow");
        let there = n % 3 != 0;
        assert_eq!(key, udp(if there { n } else { n + ALL }).into());
        assert_eq!(flow.map(|flow| flow.orig), there.then(|| udp(n)));
    }
}

async fn it_waits_for_its_reader() {
    let handle = connect();
    fill(&handle, ALL).await;
    let held = Held::at_rest().await;
    let (iterated, taken) = counted(keys());
    let (streamed, taken_too) = counted(keys());
    let iterated = handle.get_many(iterated);
    let streamed = handle.get_many_stream(stream::iter(streamed));
    for (found, taken) in [(iterated, taken), (streamed, taken_too)] {
        let mut found = found.await.expect("a stream");
        let taken = || taken.load(Ordering::Relaxed);
        for read_before in (0..ALL).step_by(100).take(8) {
            // Wait until it takes no more keys.
            let mut before = u64::MAX;
            while taken() != before {
                before = taken();
                sleep(Duration::from_millis(5)).await;
            }
            let bound = u64::from(read_before) + AHEAD;
            assert!(taken() <= bound, "{} of {bound}", taken());
            read(&mut found, read_before, 100).await;
        }
        until(|| count::threads_named(BULK) == 1, || "it is gone".into()).await;
        drop(found);
    }
    held.again().await;
}

/// Polls the stream this many times. Returns the number of items, and whether the stream has ended.
async fn polls_of(found: FoundStream, polls: usize, drop: Drop) -> (usize, bool) {
    let (mut found, mut seen, mut left) = (found, 0, polls);
    let reading = poll_fn(|cx| {
        while left > 0 {
            left -= 1;
            match found.poll_next_unpin(cx) {
                Poll::Ready(Some(item)) => {
                    item.expect("a flow");
                    seen += 1;
                }
                Poll::Ready(None) => return Poll::Ready(true),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(false)
    });
    let ended = polled(reading, polls, drop).await;
    (seen, ended.unwrap_or(false))
}

async fn it_is_dropped_after_every_number_of_polls() {
    let handle = connect();
    fill(&handle, ALL).await;
    let held = Held::at_rest().await;
    for when in [Drop::Waiting, Drop::Woken] {
        for polls in 0..5 {
            let found = polled(handle.get_many(keys()).into_future(), polls, when).await;
            assert!(found.is_none() || polls > 0, "it was not polled");
            drop(found);
        }
        // From polls that need no waiting to more than the whole stream needs.
        let mut last = false;
        for polls in (0..2 * usize::from(ALL)).step_by(61) {
            let found = handle.get_many(keys()).await.expect("a stream");
            let (seen, ended) = polls_of(found, polls, when).await;
            assert!(seen <= polls, "{seen} items from {polls} polls");
            assert!(!ended || seen == ALL.into(), "{seen} items, and the end");
            last = ended;
        }
        assert!(last, "no end");
    }
    held.again().await;
}

async fn it_is_dropped_while_its_keys_are_awaited() {
    let handle = connect();
    fill(&handle, ALL).await;
    let held = Held::at_rest().await;
    for given in [0, 1, 64, 100] {
        let (dropped, is_dropped) = oneshot::channel::<()>();
        let forever = stream::once(async move {
            let _held = dropped;
            std::future::pending().await
        });
        let found = handle.get_many_stream(stream::iter(keys().take(given.into())).chain(forever));
        if given == 0 {
            // The future is dropped before the stream exists.
            let found = tokio::spawn(found.into_future());
            until(|| count::threads_named(BULK) == 1, || "no thread".into()).await;
            found.abort();
        } else {
            let mut found = found.await.expect("a stream");
            read(&mut found, 0, given).await;
            assert!(futures::poll!(found.next()).is_pending());
            assert_eq!(count::threads_named(BULK), 1);
        }
        is_dropped.await.expect_err("the stream is dropped");
        ended().await;
    }
    held.again().await;
}
