//! Waiting until events that were sent before now have been applied.

use crate::stream::EventStream;

/// So many bytes of a queue are one event at the most.
const SMALL: usize = 512;

/// So many events may be in the stream's hands.
const IN_HAND: u64 = 32;

/// Events up to here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drain {
    until: u64,
}

impl Drain {
    /// All that were sent until now.
    pub(super) fn of(events: &EventStream) -> Self {
        let waiting = match events.backlog() {
            Ok(backlog) => backlog.used / SMALL,
            // The stream ends of it.
            Err(_) => 0,
        };
        Self {
            until: events.stats().received + waiting as u64 + IN_HAND,
        }
    }

    /// Have they been applied?
    pub(super) fn is_done(&self, events: &EventStream) -> bool {
        events.stats().received >= self.until || events.is_drained()
    }
}
