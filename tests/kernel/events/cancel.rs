//! Dropped futures, and a dropped stream.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use ctnetlink::EventKinds;
use futures::{Stream, StreamExt};
use libtest_mimic::Trial;
use tokio::time::interval;

use super::{Order, changes, mark, next};
use crate::common::{Held, alone, connect};
use crate::forger;
use crate::polled::{Drop, polled};
use crate::trials;

pub(super) fn tests() -> Vec<Trial> {
    let mut tests = trials!["events::cancel":
        next_loses_nothing,
        beside_select,
        others_have_their_turn,
    ];
    tests.extend(alone!("events::cancel": a_dropped_stream_leaves_nothing,));
    tests
}

/// Drops `next()` after various numbers of polls, while there are events, gaps, or nothing to read.
async fn next_loses_nothing() {
    let handle = connect();
    let mut events = changes(&handle).await;
    let mut order = Order::default();
    let mut sent = 0;
    for polls in 0..4 {
        for drop in [Drop::Waiting, Drop::Woken] {
            for burst in [1, 40, 400] {
                let sender = {
                    let handle = handle.clone();
                    let marks = sent + 1..=sent + burst;
                    tokio::spawn(async move { mark(&handle, marks).await })
                };
                sent += burst;
                while order.sent() < sent {
                    if let Some(event) = polled(events.next(), polls, drop).await {
                        order.take(&event.expect("it goes on").expect("an event"));
                    } else {
                        order.take(&next(&mut events).await);
                    }
                }
                sender.await.expect("the sender");
            }
        }
    }
    let stats = events.stats();
    assert_eq!(stats.received + stats.lost, u64::from(sent));
}

async fn beside_select() {
    const SENT: u32 = 5000;
    let handle = connect();
    let mut events = changes(&handle).await;
    let mut order = Order::default();
    let sender = {
        let handle = handle.clone();
        tokio::spawn(async move {
            for first in (1..SENT).step_by(100) {
                mark(&handle, first..=first + 99).await;
            }
        })
    };
    let mut ticks = interval(Duration::from_micros(200));
    let mut ticked = 0;
    while order.sent() < SENT {
        tokio::select! {
            biased;
            _ = ticks.tick() => ticked += 1,
            event = events.next() => order.take(&event.expect("it goes on").expect("an event")),
        }
    }
    sender.await.expect("the sender");
    assert!(ticked > 0);
}

/// A task that reads many waiting events lets other tasks run.
async fn others_have_their_turn() {
    let handle = connect();
    let mut events = changes(&handle).await;
    mark(&handle, 1..=1000).await;
    let mut order = Order::default();
    let mut turns = Vec::new();
    while order.sent() < 1000 {
        let taken = std::future::poll_fn(|cx| {
            let mut taken = 0;
            while let Poll::Ready(event) = Pin::new(&mut events).poll_next(cx) {
                order.take(&event.expect("it goes on").expect("an event"));
                taken += 1;
            }
            Poll::Ready(taken)
        });
        turns.push(taken.await);
        tokio::task::yield_now().await;
    }
    assert!(turns.iter().all(|taken| *taken <= 512), "{turns:?}");
}

async fn a_dropped_stream_leaves_nothing() {
    let handle = connect();
    let held = Held::at_rest().await;
    let sockets = forger::ports();
    let mut events = changes(&handle).await;
    assert_eq!(forger::ports().len(), sockets.len() + 1);
    mark(&handle, 1..=10).await;
    next(&mut events).await;
    // As a task that waits.
    let task = tokio::spawn(async move { while events.next().await.is_some() {} });
    tokio::task::yield_now().await;
    task.abort();
    let _ = task.await;
    held.again().await;
    assert_eq!(forger::ports(), sockets);

    // Before its first poll, and as a future that was never polled.
    drop(handle.events().await.expect("a stream"));
    drop(handle.events().kinds(EventKinds::NEW));
    held.again().await;
}
