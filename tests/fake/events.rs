//! Events, on the listen lane.

use std::time::Duration;

use ctnetlink::Event;
use ctnetlink::testing::{EventFault, Kernel};
use futures::StreamExt;

use crate::{new, run, udp};

#[test]
fn what_becomes_of_a_flow_is_told() {
    run(async {
        let kernel = Kernel::new();
        let handle = kernel.connect();
        let mut events = handle.events().await.unwrap();
        handle.create(new(1).mark(3)).await.unwrap();
        kernel.packet(udp(1).inverse(), 60);
        kernel.advance(Duration::from_secs(3600));
        let mut marks = Vec::new();
        for _ in 0..3 {
            marks.push(match events.next().await.unwrap().unwrap() {
                Event::New { flow, .. } => ("new", flow.mark),
                Event::Update { flow, .. } => ("update", flow.mark),
                Event::Destroy { flow, .. } => ("destroy", flow.mark),
                event => panic!("{event:?}"),
            });
        }
        assert_eq!(
            marks,
            ["new", "update", "destroy"].map(|kind| (kind, Some(3)))
        );
    });
}

/// A loss is one item, with how many were lost, in its place.
#[test]
fn an_overrun_is_told_with_its_number() {
    run(async {
        let kernel = Kernel::new();
        let handle = kernel.connect();
        let mut events = handle.events().receive_buffer(64_000).await.unwrap();
        for n in 0..300 {
            kernel.packet(udp(n), 60);
        }
        let mut heard = 0;
        let lost = loop {
            match events.next().await.unwrap().unwrap() {
                Event::New { .. } => heard += 1,
                Event::Overrun { lost } => break lost,
                event => panic!("{event:?}"),
            }
        };
        assert_eq!((heard, lost), (100, 200));
        kernel.packet(udp(900), 60);
        assert!(matches!(events.next().await, Some(Ok(Event::New { .. }))));
    });
}

#[test]
fn events_lost_without_a_word_and_told_twice() {
    run(async {
        let kernel = Kernel::new();
        let handle = kernel.connect();
        let mut events = handle.events().await.unwrap();
        kernel.on_event(0, EventFault::Lost);
        kernel.on_event(1, EventFault::Twice);
        (0..2).for_each(|n| kernel.packet(udp(n), 60));
        for _ in 0..2 {
            let Some(Ok(Event::New { flow, .. })) = events.next().await else {
                panic!("an event");
            };
            assert_eq!(flow.orig, udp(1));
        }
    });
}
