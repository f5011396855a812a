//! Reliable listeners, to which the kernel repeats events that had no room; and socket filters.

use std::time::Duration;

use ctnetlink::testing::Kernel;
use ctnetlink::{Event, EventKinds, EventStream, Filter, Flow, KernelFilter, Table};
use futures::{FutureExt, StreamExt, TryStreamExt};

use crate::{new, run, udp};

const COUNTED: usize = 1280;

/// Reads the waiting events. Returns which flows began, changed and ended, and the number of lost
/// events.
fn heard(events: &mut EventStream) -> (Vec<(&'static str, Flow)>, u64) {
    let (mut told, mut lost) = (Vec::new(), 0);
    while let Some(event) = events.next().now_or_never() {
        match event.expect("the stream goes on").expect("an event") {
            Event::New { flow, .. } => told.push(("new", flow)),
            Event::Update { flow, .. } => told.push(("update", flow)),
            Event::Destroy { flow, .. } => told.push(("destroy", flow)),
            Event::Overrun { lost: more } => lost += more,
            event => panic!("{event:?}"),
        }
    }
    (told, lost)
}

async fn dying(kernel: &Kernel) -> usize {
    let handle = kernel.connect();
    let flows = handle.list(Table::Dying).await.unwrap();
    flows.try_collect::<Vec<_>>().await.unwrap().len()
}

/// A flow that ended is kept until its event has room. It counts towards the limit, and is listed
/// as dying.
#[test]
fn ends_come_again() {
    run(async {
        let kernel = Kernel::new();
        let handle = kernel.connect();
        let events = handle.events().kinds(EventKinds::DESTROY).reliable();
        let mut events = events.receive_buffer(2 * COUNTED / 2).await.unwrap();
        let mut other = handle.events().kinds(EventKinds::DESTROY).await.unwrap();
        for n in 0..5 {
            handle.create(new(n)).await.unwrap();
        }
        handle.flush(Table::Conntrack).await.unwrap();
        assert_eq!(kernel.flows(), []);
        assert_eq!(dying(&kernel).await, 3);
        assert_eq!(handle.stats().await.unwrap().entries, 3);
        let (first, lost) = heard(&mut events);
        assert_eq!((first.len(), lost), (2, 3));

        // After a second, and then every 10 ms, as long as there is room.
        kernel.advance(Duration::from_millis(999));
        assert_eq!(heard(&mut events).0.len(), 0);
        kernel.advance(Duration::from_millis(1));
        let (second, _) = heard(&mut events);
        assert_eq!((second.len(), dying(&kernel).await), (2, 1));
        kernel.advance(Duration::from_millis(10));
        let (third, _) = heard(&mut events);
        assert_eq!((third.len(), dying(&kernel).await), (1, 0));
        assert_eq!(handle.stats().await.unwrap().entries, 0);

        let mut ended: Vec<_> = [first, second, third].concat();
        ended.sort_by_key(|(_, flow)| flow.orig.src());
        let ended: Vec<_> = ended
            .iter()
            .map(|(kind, flow)| (*kind, flow.orig))
            .collect();
        let all: Vec<_> = (0..5).map(|n| ("destroy", udp(n))).collect();
        assert_eq!(ended, all, "each once");
        // The other listener had room, so it gets the repeated events too.
        assert!(heard(&mut other).0.len() > 5);
    });
}

/// A reader that has stopped does not stop the clock, and a full table accepts no more flows.
#[test]
fn the_dying_fill_the_table() {
    run(async {
        let kernel = Kernel::release("6.18").unwrap().max_flows(2).build();
        let handle = kernel.connect();
        let events = handle.events().kinds(EventKinds::DESTROY).reliable();
        let mut events = events.receive_buffer(COUNTED / 2).await.unwrap();
        for n in 0..3 {
            handle.create(new(n)).await.unwrap();
            handle.delete(udp(n)).await.unwrap();
        }
        kernel.advance(Duration::from_secs(3600));
        let full = handle.create(new(9)).await.unwrap_err();
        assert_eq!(full.errno(), Some(12));
        heard(&mut events);
        kernel.advance(Duration::from_secs(1));
        handle.create(new(9)).await.expect("there is room again");
    });
}

/// A change that had no room comes with the next event of its flow, as an event of its own kind.
#[test]
fn changes_come_with_the_next() {
    run(async {
        let kernel = Kernel::new();
        let handle = kernel.connect();
        let events = handle.events().reliable();
        let mut events = events.receive_buffer(COUNTED / 2).await.unwrap();
        handle.create(new(1)).await.unwrap();
        handle.create(new(2)).await.unwrap();
        let (told, lost) = heard(&mut events);
        assert_eq!((told.len(), lost), (1, 1));
        handle.set_mark(udp(2), 7).await.unwrap();
        let (told, _) = heard(&mut events);
        let told: Vec<_> = told
            .iter()
            .map(|(kind, flow)| (*kind, flow.orig, flow.mark))
            .collect();
        assert_eq!(told, [("new", udp(2), Some(7))], "it is new to this one");
        handle.set_mark(udp(2), 8).await.unwrap();
        assert_eq!(heard(&mut events).0[0].0, "update");
    });
}

/// Events that do not match take no room, and are not counted.
#[test]
fn a_socket_filter_is_run() {
    run(async {
        let kernel = Kernel::new();
        let handle = kernel.connect();
        let filter = Filter::builder().orig_src(udp(7).src()).protocol(17);
        let events = handle.events().filter(filter.build().unwrap());
        let mut events = events.receive_buffer(COUNTED / 2).await.unwrap();
        assert!(events.kernel_filtered().contains(KernelFilter::ORIG_SRC));
        for n in (0..100).filter(|n| *n != 7) {
            kernel.packet(udp(n), 60);
        }
        assert_eq!(events.backlog().unwrap().used, 0);
        kernel.packet(udp(7), 60);
        assert_eq!(events.backlog().unwrap().used, COUNTED);
        let (told, lost) = heard(&mut events);
        assert_eq!((told.len(), lost), (1, 0));
        assert_eq!(events.stats().received, 1);
    });
}
