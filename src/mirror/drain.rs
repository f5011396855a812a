//! Waits until all events that the kernel has sent so far are applied.

use crate::stream::EventStream;

/// A lower bound for the bytes that one event takes in the queue.
const SMALL: usize = 512;

/// The maximum number of events in the stream's own buffer.
const IN_HAND: u64 = 32;

/// A point in the stream of events.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drain {
    until: u64,
}

impl Drain {
    /// The point after all events that were sent so far.
    pub(super) fn of(events: &EventStream) -> Self {
        let waiting = match events.backlog() {
            Ok(backlog) => backlog.used / SMALL,
            // The stream will end with this error.
            Err(_) => 0,
        };
        Self {
            until: events.stats().received + waiting as u64 + IN_HAND,
        }
    }

    /// Has the mirror applied the events up to this point?
    pub(super) fn is_done(&self, events: &EventStream) -> bool {
        events.stats().received >= self.until || events.is_drained()
    }
}
