//! A task that reads events lets others run after a limited number of messages, whatever they are.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use ctnetlink::testing::{EventFault, Kernel};
use ctnetlink::{Event, EventKinds, EventStream, Filter, KernelFilter};
use futures::{FutureExt, Stream, StreamExt};
use tokio::task::yield_now;

use crate::{run, udp};

/// More messages than a task can read in one turn, and the queue for them.
const MANY: u16 = 1000;
const ROOM: usize = 16 << 20;

/// The number of items of one turn. `before` is called before each of them is read.
async fn turn(events: &mut EventStream, mut before: impl FnMut()) -> usize {
    yield_now().await;
    poll_fn(|cx| {
        let mut items = 0;
        loop {
            before();
            match Pin::new(&mut *events).poll_next(cx) {
                Poll::Ready(item) => assert!(item.is_some(), "it goes on"),
                Poll::Pending => return Poll::Ready(items),
            }
            items += 1;
            assert!(items < MANY.into(), "the turn does not end");
        }
    })
    .await
}

/// A stream that has read this many events.
async fn listen(kernel: &Kernel, filter: Filter, read: u16) -> EventStream {
    let events = kernel.connect().events().kinds(EventKinds::NEW);
    let events = events.filter(filter).receive_buffer(ROOM);
    let mut events = events.await.expect("a stream");
    yield_now().await;
    for n in 0..read {
        kernel.packet(udp(n), 60);
        // It is no item if the filter drops it.
        let _ = events.next().now_or_never();
    }
    assert_eq!(events.stats().received, read.into());
    events
}

/// Checks that some are left after one turn, wherever the count of events is at its start.
fn some_are_left(filter: &Filter, prepare: impl Fn(&Kernel)) {
    run(async {
        for read in 0..4 {
            let kernel = Kernel::new();
            let mut events = listen(&kernel, filter.clone(), read).await;
            prepare(&kernel);
            (read..MANY).for_each(|n| kernel.packet(udp(n), 60));
            let items = turn(&mut events, || {}).await;
            let left = events.backlog().expect("the queue").used;
            assert!(left > 0, "{items} items after {read} events");
        }
    });
}

#[test]
fn of_events() {
    some_are_left(&Filter::default(), |_| {});
}

#[test]
fn of_events_that_the_filter_drops_here() {
    let filter = Filter::builder().has_helper().build().expect("a filter");
    run(async {
        let kernel = Kernel::new();
        let events = listen(&kernel, filter.clone(), 0).await;
        assert_eq!(events.kernel_filtered(), KernelFilter::empty());
    });
    some_are_left(&filter, |_| {});
}

#[test]
fn of_messages_that_do_not_decode() {
    some_are_left(&Filter::default(), |kernel| {
        (0..MANY.into()).for_each(|nth| kernel.on_event(nth, EventFault::CutTo(18)));
    });
}

/// Netlink's own messages are no items, and not counted.
#[test]
fn of_messages_without_an_event() {
    const NLMSG_NOOP: u16 = 1;
    some_are_left(&Filter::default(), |kernel| {
        kernel.tamper(|bytes| bytes[4..6].copy_from_slice(&NLMSG_NOOP.to_ne_bytes()));
    });
}

#[test]
fn of_gaps() {
    run(async {
        for read in 0..4 {
            let kernel = Kernel::new();
            let mut events = listen(&kernel, Filter::default(), read).await;
            let mut n = read;
            let gaps = turn(&mut events, || {
                n += 1;
                kernel.on_event(0, EventFault::NoMemory);
                kernel.packet(udp(n), 60);
            });
            let gaps = gaps.await as u64;
            let stats = events.stats();
            assert_eq!((stats.received, stats.overruns), (read.into(), gaps));
            // One is left.
            let more = events.next().await;
            assert!(
                matches!(more, Some(Ok(Event::Overrun { lost: 1 }))),
                "{more:?}"
            );
        }
    });
}
