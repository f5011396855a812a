//! Events: all are received in order, and lost ones are counted.

mod cancel;
mod exact;
mod filter;
mod kinds;
mod namespaces;
mod reliable;
mod runtime;
mod traffic;

use ctnetlink::{Change, ConntrackHandle, Event, EventKinds, EventStream, Patch};
use futures::StreamExt;
use libtest_mimic::Trial;
use tokio::time::timeout;

use crate::common::{new, udp};
use crate::support::patience;

pub(crate) fn tests() -> Vec<Trial> {
    [
        cancel::tests,
        exact::tests,
        filter::tests,
        kinds::tests,
        namespaces::tests,
        reliable::tests,
        runtime::tests,
        traffic::tests,
    ]
    .into_iter()
    .flat_map(|tests| tests())
    .collect()
}

/// The size that the kernel gives if no size is requested.
const SMALL: usize = 212_992;
/// The number of events that have room in it: 166 on Linux 6.18. Releases count a different size
/// for an event.
const ROOM_FOR: std::ops::Range<u64> = 100..250;

async fn next(events: &mut EventStream) -> Event {
    let next = timeout(patience::secs(30), events.next()).await;
    let next = next.unwrap_or_else(|_| panic!("no event after {:?}", events.stats()));
    next.expect("the stream goes on").expect("an event")
}

/// Creates a flow, and returns a stream of changes with a small queue.
async fn changes(handle: &ConntrackHandle) -> EventStream {
    handle.create(new(1)).await.expect("a flow");
    let events = handle.events().kinds(EventKinds::UPDATE);
    let events = events.receive_buffer(SMALL / 2).await.expect("a stream");
    assert_eq!(events.receive_buffer().expect("a size"), SMALL);
    events
}

/// Marks the flow of [`changes`] with each of these numbers. Each mark makes an event.
async fn mark(handle: &ConntrackHandle, marks: std::ops::RangeInclusive<u32>) {
    let many = u64::from(marks.end() - marks.start() + 1);
    let change = |mark| Change::Update(udp(1).into(), Patch::new().mark(mark));
    let report = handle.bulk(marks.map(change)).await.expect("a report");
    assert_eq!(report.applied, many, "{report:?}");
}

/// Checks the events of the flow's marks. None may come twice or late, and the missing ones are
/// counted.
#[derive(Debug, Default)]
struct Order {
    last: u32,
    heard: u32,
    lost: u32,
}

impl Order {
    fn take(&mut self, event: &Event) {
        match event {
            Event::Update { flow, .. } => {
                let mark = flow.mark.expect("a mark");
                assert!(mark > self.last, "{mark}, {self:?}");
                self.last = mark;
                self.heard += 1;
            }
            Event::Overrun { lost } => self.lost += u32::try_from(*lost).expect("a number"),
            other => panic!("{other}"),
        }
    }

    /// The number of events that were received or reported as lost.
    fn sent(&self) -> u32 {
        self.heard + self.lost
    }
}
