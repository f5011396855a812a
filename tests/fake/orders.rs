//! The listen lane, with its events in all orders: every datagram is received, or counted by a gap
//! in its place.

use std::future::poll_fn;
use std::net::IpAddr;
use std::task::Poll;

use ctnetlink::testing::{EventFault, Kernel};
use ctnetlink::{ErrorKind, Event, EventStream};
use futures::StreamExt;
use proptest::prelude::*;

use crate::{run, udp};

/// The number of events that have room in the queue.
const ROOM: u16 = 3;
/// The bytes that the kernel counts for an event.
const COUNTED: usize = 1280;

/// One step of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Event,
    /// More events than the queue has room for.
    Burst,
    Fault(EventFault),
    /// The reader takes one item, if there is one.
    ReadOne,
    ReadAll,
}

/// Each fault of an event is a step.
const STEPS: [Step; 9] = [
    Step::Event,
    Step::Burst,
    Step::Fault(EventFault::Lost),
    Step::Fault(EventFault::Twice),
    Step::Fault(EventFault::NoMemory),
    Step::Fault(EventFault::Unmade),
    Step::Fault(EventFault::CutTo(50)),
    Step::ReadOne,
    Step::ReadAll,
];

/// The datagrams that were sent, and the position of the reader.
struct Ledger {
    kernel: Kernel,
    events: EventStream,
    /// The number of each datagram, and whether it was sent whole.
    sent: Vec<(u16, bool)>,
    next: u16,
    /// The number of datagrams that are accounted for.
    at: usize,
    /// The number of events that were never made, and whether the last of them is not reported yet.
    unmade: usize,
    is_untold: bool,
    /// Gaps without a number.
    unnumbered: usize,
}

impl Ledger {
    async fn new() -> Self {
        let kernel = Kernel::new();
        let buffer = usize::from(ROOM) * COUNTED / 2;
        let events = kernel.connect().events().receive_buffer(buffer);
        Self {
            events: events.await.expect("a stream"),
            kernel,
            sent: Vec::new(),
            next: 0,
            at: 0,
            unmade: 0,
            is_untold: false,
            unnumbered: 0,
        }
    }

    fn send(&mut self, fault: Option<EventFault>) {
        let datagrams = match fault {
            Some(EventFault::Lost) => 0,
            Some(EventFault::Unmade) => {
                self.unmade += 1;
                self.is_untold = true;
                0
            }
            Some(EventFault::Twice) => 2,
            _ => 1,
        };
        let whole = !matches!(fault, Some(EventFault::CutTo(_)));
        self.sent.extend((0..datagrams).map(|_| (self.next, whole)));
        if let Some(fault) = fault {
            self.kernel.on_event(0, fault);
        }
        self.kernel.packet(udp(self.next), 60);
        self.next += 1;
    }

    /// Takes an item. Returns `false` if there is none.
    async fn read(&mut self) -> bool {
        let item = poll_fn(|cx| match self.events.poll_next_unpin(cx) {
            Poll::Pending => Poll::Ready(None),
            Poll::Ready(item) => Poll::Ready(Some(item.expect("the stream goes on"))),
        });
        match item.await {
            None => return false,
            Some(Ok(Event::Overrun { lost })) => {
                self.unnumbered += usize::from(lost == 0);
                assert!(self.unnumbered <= self.unmade, "a gap of nothing");
                self.is_untold = false;
                self.at += lost as usize;
            }
            Some(Ok(Event::New { flow, .. })) => {
                let (number, whole) = self.sent[self.at];
                assert_eq!(flow.orig.src(), source(number), "at {}", self.at);
                assert!(whole);
                self.at += 1;
            }
            Some(Ok(event)) => panic!("{event:?}"),
            Some(Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::Decode);
                assert!(!self.sent[self.at].1, "at {}", self.at);
                self.at += 1;
            }
        }
        true
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Event => self.send(None),
            Step::Burst => (0..2 * ROOM).for_each(|_| self.send(None)),
            Step::Fault(fault) => self.send(Some(fault)),
            Step::ReadOne => drop(self.read().await),
            Step::ReadAll => while self.read().await {},
        }
    }

    /// Checks that everything is accounted for, and that the stream still gets events.
    async fn end(mut self) {
        while self.read().await {}
        self.send(None);
        while self.read().await {}
        assert_eq!(self.at, self.sent.len(), "heard and told");
        assert!(!self.is_untold, "what was never made is told of");
        let stats = self.events.stats();
        let accounted = stats.received + stats.lost;
        assert_eq!(accounted, self.sent.len() as u64, "{stats:?}");
        assert_eq!(self.events.backlog().expect("a queue").used, 0);
    }
}

fn source(number: u16) -> IpAddr {
    udp(number).src()
}

/// Without tokio's cooperative budget, which is not tested here.
async fn play(steps: &[Step]) {
    let played = async {
        let mut ledger = Ledger::new().await;
        for step in steps {
            ledger.step(*step).await;
        }
        ledger.end().await;
    };
    tokio::task::unconstrained(played).await;
}

/// Prints the steps if a test fails.
struct Told<'a>(&'a [Step]);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the steps: {:?}", self.0);
        }
    }
}

/// Four of these steps, in all orders.
#[test]
fn everything_is_accounted_for_in_all_orders() {
    run(async {
        let n = STEPS.len();
        for number in 0..n.pow(4) {
            let steps = [0, 1, 2, 3].map(|digit| STEPS[number / n.pow(digit) % n]);
            let _told = Told(&steps);
            play(&steps).await;
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn everything_is_accounted_for_in_long_sequences(
        steps in proptest::collection::vec(proptest::sample::select(&STEPS[..]), 5..60),
    ) {
        run(async { play(&steps).await });
    }
}
