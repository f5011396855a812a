//! The caller's code panics on the thread of a bulk request: the panic is passed on.

use std::any::Any;
use std::future::IntoFuture;
use std::panic::{self, AssertUnwindSafe};

use ctnetlink::{Bulk, ConntrackHandle, FlowKey};
use futures::{FutureExt, StreamExt, stream};
use libtest_mimic::Trial;
use tokio::task::yield_now;

use super::{BATCH, BULK, connect, fill, mark, marks, udp};
use crate::common::{Held, alone};
use crate::support::count;

pub(super) fn tests() -> Vec<Trial> {
    alone!("bulk::panics":
        of_the_iterator,
        of_the_stream,
        of_a_stream_that_waits,
        of_the_watcher,
        of_the_iterator_of_keys,
        of_the_stream_of_keys,
    )
}

/// Enough changes for a second thread.
const ALL: u16 = 20 * BATCH as u16;

const WORDS: &str = "the caller's own words";

fn is_ours(payload: Box<dyn Any + Send>) {
    assert_eq!(payload.downcast_ref(), Some(&WORDS));
}

/// Panics if `n` is the place.
fn panic_at(place: u16, n: u16) {
    if n == place {
        panic::panic_any(WORDS);
    }
}

/// Panics at several places, in the awaiting task and in another task. Only the changes that were
/// sent before the panic are made.
async fn each_place(done: impl Fn(u16) -> u16, make: impl Fn(&ConntrackHandle, u16, u32) -> Bulk) {
    let handle = connect();
    fill(&handle, ALL).await;
    let held = Held::at_rest().await;
    for place in [0, 1, 63, 64, 100, 200, 1000, 1024] {
        for round in [1, 2] {
            let value = u32::from(place) * 2 + round;
            let bulk = make(&handle, place, value).into_future();
            if round == 1 {
                let ended = AssertUnwindSafe(bulk).catch_unwind().await;
                is_ours(ended.expect_err("a panic"));
            } else {
                let ended = tokio::spawn(bulk).await;
                is_ours(ended.expect_err("a panic").into_panic());
            }
            let marks = marks(&handle, 0..ALL).await;
            let marked = marks.iter().filter(|mark| **mark == Some(value)).count();
            assert_eq!(marked, usize::from(done(place)), "at {place}");
        }
    }
    held.again().await;
    assert_eq!(count::threads_named(BULK), 0);
}

/// The number of changes in whole sends before the place.
fn whole_sends(place: u16) -> u16 {
    place / BATCH as u16 * BATCH as u16
}

async fn of_the_iterator() {
    each_place(whole_sends, |handle, place, value| {
        let updates = (0..ALL).map(move |n| mark(n, value));
        handle.bulk((0..).zip(updates).map(move |(n, update)| {
            panic_at(place, n);
            update
        }))
    })
    .await;
}

async fn of_the_stream() {
    each_place(whole_sends, |handle, place, value| {
        let updates = stream::iter(0..ALL).map(move |n| mark(n, value));
        let updates = stream::iter(0..).zip(updates);
        handle.bulk_stream(updates.map(move |(n, update)| {
            panic_at(place, n);
            update
        }))
    })
    .await;
}

/// The stream gives its changes one by one, and each one is sent at once.
async fn of_a_stream_that_waits() {
    let each = |place| place;
    each_place(each, |handle, place, value| {
        handle.bulk_stream(stream::iter(0..ALL).then(move |n| async move {
            yield_now().await;
            panic_at(place, n);
            mark(n, value)
        }))
    })
    .await;
}

async fn of_the_watcher() {
    let next_send = |place| whole_sends(place) + BATCH as u16;
    each_place(next_send, |handle, place, value| {
        let updates = (0..ALL).map(move |n| mark(n, value));
        handle.bulk(updates).on_progress(move |report| {
            panic_at(next_send(place), report.done() as u16);
            std::ops::ControlFlow::Continue(())
        })
    })
    .await;
}

/// Keys. The iterator panics at the place.
fn keys(place: u16) -> impl Iterator<Item = FlowKey> + Send {
    (0..ALL).map(move |n| {
        panic_at(place, n);
        udp(n).into()
    })
}

/// The future does not wait for a key, so the stream has every panic.
async fn each_read(make: impl Fn(&ConntrackHandle, u16) -> ctnetlink::GetMany) {
    let handle = connect();
    fill(&handle, ALL).await;
    let held = Held::at_rest().await;
    for place in [0, 1, 63, 64, 100, 200] {
        let mut found = make(&handle, place).await.expect("a stream");
        for n in 0..whole_sends(place) {
            let (key, flow) = found.next().await.expect("an item").expect("a flow");
            assert_eq!(key, udp(n).into());
            assert!(flow.is_some());
        }
        let next = AssertUnwindSafe(found.next()).catch_unwind().await;
        is_ours(next.expect_err("a panic"));
    }
    held.again().await;
    assert_eq!(count::threads_named(BULK), 0);
}

async fn of_the_iterator_of_keys() {
    each_read(|handle, place| handle.get_many(keys(place))).await;
}

async fn of_the_stream_of_keys() {
    each_read(|handle, place| handle.get_many_stream(stream::iter(keys(place)))).await;
}
