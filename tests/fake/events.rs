//! Events, on the listen lane.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ctnetlink::testing::{EventFault, Kernel};
use ctnetlink::{ErrorKind, Event, EventKinds, EventStats};
use futures::{FutureExt, StreamExt};
use tracing_core::dispatcher::{Dispatch, set_default};
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Level, Metadata, Subscriber};

use crate::{new, run, udp};

#[test]
fn bits_of_no_kind_are_refused() {
    run(async {
        let handle = Kernel::new().connect();
        let unknown = EventKinds::NEW | EventKinds::from_bits_retain(1 << 31);
        for kinds in [unknown, EventKinds::empty()] {
            let refused = handle.events().kinds(kinds).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");
            assert!(refused.to_string().contains("kinds"), "{refused}");
        }
    });
}

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

/// An event that the kernel could not make is a gap without a number. A reliable listener gets it
/// with the next event of its flow.
#[test]
fn what_was_never_made_is_told_without_a_number() {
    run(async {
        let kernel = Kernel::new();
        let handle = kernel.connect();
        let mut events = handle.events().await.unwrap();
        handle.create(new(1)).await.unwrap();
        kernel.on_event(0, EventFault::Unmade);
        handle.create(new(2)).await.unwrap();
        handle.create(new(3)).await.unwrap();
        let mut heard = Vec::new();
        for _ in 0..3 {
            heard.push(match events.next().await.unwrap().unwrap() {
                Event::New { flow, .. } => Ok(flow.orig),
                Event::Overrun { lost } => Err(lost),
                event => panic!("{event:?}"),
            });
        }
        // The socket reports the error before the queued events.
        heard.sort();
        assert_eq!(heard, [Ok(udp(1)), Ok(udp(3)), Err(0)]);
        let stats = events.stats();
        assert_eq!((stats.received, stats.lost, stats.overruns), (2, 0, 1));
        drop(events);

        let mut events = handle.events().reliable().await.unwrap();
        kernel.on_event(0, EventFault::Unmade);
        handle.create(new(4)).await.unwrap();
        kernel.packet(udp(4).inverse(), 60);
        let event = events.next().await.unwrap().unwrap();
        let Event::New { flow, .. } = event else {
            panic!("{event:?}");
        };
        assert_eq!(flow.orig, udp(4));
    });
}

/// A loss is one item with the number of lost events, in its place.
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

/// If nothing is queued when the error comes, the gap is reported at once, and only once.
#[test]
fn a_loss_beside_an_empty_queue() {
    run(async {
        let kernel = Kernel::new();
        let handle = kernel.connect();
        let mut events = handle.events().await.unwrap();
        for (fault, number) in [(EventFault::NoMemory, 1), (EventFault::Unmade, 0)] {
            kernel.on_event(0, fault);
            assert!(events.next().now_or_never().is_none());
            kernel.packet(udp(1), 60);
            assert_eq!(events.backlog().unwrap().used, 0);
            let gap = events.next().now_or_never().expect("the gap");
            let is_told = matches!(&gap, Some(Ok(Event::Overrun { lost })) if *lost == number);
            assert!(is_told, "{gap:?}");
            assert!(events.next().now_or_never().is_none());
            kernel.advance(Duration::from_secs(3600));
            let end = events.next().await;
            assert!(matches!(end, Some(Ok(Event::Destroy { .. }))), "{end:?}");
        }
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

/// Records the losses in warnings, and the number of gaps in each line.
#[derive(Default, Clone)]
struct Warnings(Arc<Mutex<BTreeMap<&'static str, Vec<u64>>>>);

impl Visit for Warnings {
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}

    fn record_u64(&mut self, field: &Field, value: u64) {
        let mut told = self.0.lock().unwrap();
        told.entry(field.name()).or_default().push(value);
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "ctnetlink" && *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing_core::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Runs a test, and returns the losses in its warnings.
fn warned<F: Future<Output = EventStats>>(test: F) -> (EventStats, [Vec<u64>; 2]) {
    let warnings = Warnings::default();
    // With a single subscriber, tracing would cache the interest of another test's thread, which
    // has none.
    let _another = Dispatch::new(Warnings::default());
    let _guard = set_default(&Dispatch::new(warnings.clone()));
    let mut stats = EventStats::default();
    run(async { stats = test.await });
    let mut told = warnings.0.lock().unwrap();
    let told = ["lost", "gaps"].map(|field| told.remove(field).unwrap_or_default());
    (stats, told)
}

/// A stream with gaps at this distance.
async fn gaps(many: u16, apart: Duration) -> EventStats {
    let kernel = Kernel::new();
    let handle = kernel.connect();
    let mut events = handle.events().receive_buffer(64_000).await.unwrap();
    for round in 0..many {
        std::thread::sleep(apart);
        for n in 0..150 {
            kernel.packet(udp(round * 150 + n), 60);
        }
        while !matches!(events.next().await, Some(Ok(Event::Overrun { .. }))) {}
    }
    let stats = events.stats();
    assert_eq!(stats.overruns, u64::from(many));
    stats
}

/// Many gaps make a few lines, which count all gaps and all lost events.
#[test]
fn warnings_of_overruns_are_few_and_complete() {
    let began = Instant::now();
    let (stats, [lost, gaps]) = warned(gaps(20, Duration::ZERO));
    assert_eq!(lost.iter().sum::<u64>(), stats.lost, "{lost:?}");
    assert_eq!(gaps.iter().sum::<u64>(), 20, "{gaps:?}");
    assert_eq!((lost[0], gaps[0]), (50, 1), "the first at once");
    // One per second, and the rest at the end.
    let seconds = began.elapsed().as_secs() as usize;
    assert!(lost.len() <= seconds + 2, "{lost:?}");
}

/// If the gaps are rare, each has its own line.
#[test]
fn each_gap_is_a_line() {
    let (_, [lost, gaps]) = warned(gaps(3, Duration::from_millis(1010)));
    assert_eq!((lost, gaps), (vec![50; 3], vec![1; 3]));
}
