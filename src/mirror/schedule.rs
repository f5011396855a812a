//! Decides when to list the table.

use std::time::Duration;

/// Losses have stopped if no event was lost for this long.
const CALM: Duration = Duration::from_millis(500);

/// The time between two lists while losses continue.
const STORM: Wait = Wait(Duration::from_secs(10), Duration::from_secs(60));

/// The time after a list that failed.
const FAILED: Wait = Wait(Duration::from_secs(1), Duration::from_secs(60));

/// The first and the longest wait. Each wait is twice as long as the one before.
#[derive(Debug)]
struct Wait(Duration, Duration);

impl Wait {
    fn nth(&self, n: u32) -> Duration {
        let Self(first, longest) = self;
        first.saturating_mul(1 << n.min(10)).min(*longest)
    }
}

/// When the next list is due. Times are in the mirror's clock.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    is_wanted: bool,
    last_loss: Option<Duration>,
    last_begin: Option<Duration>,
    not_before: Duration,
    /// Lists in a row during which events were lost.
    spoiled: u32,
    /// Lists in a row that failed.
    failed: u32,
}

impl Schedule {
    /// Asks for a list.
    pub(super) fn want(&mut self) {
        self.is_wanted = true;
    }

    /// Events were lost.
    pub(super) fn lost(&mut self, now: Duration) {
        self.is_wanted = true;
        self.last_loss = Some(now);
    }

    pub(super) fn began(&mut self, now: Duration) {
        self.is_wanted = false;
        self.last_begin = Some(now);
    }

    /// The list has ended, and no event was lost meanwhile.
    pub(super) fn done(&mut self) {
        self.spoiled = 0;
        self.failed = 0;
    }

    /// The list has ended, but events were lost since it began.
    pub(super) fn was_spoiled(&mut self) {
        self.is_wanted = true;
        self.spoiled += 1;
        self.failed = 0;
    }

    /// The list failed.
    pub(super) fn has_failed(&mut self, now: Duration) {
        self.is_wanted = true;
        self.not_before = now + FAILED.nth(self.failed);
        self.failed += 1;
    }

    /// When the next list should begin; `None` if none is needed.
    pub(super) fn due(&self) -> Option<Duration> {
        if !self.is_wanted {
            return None;
        }
        let calm = self.last_loss.map_or(Duration::ZERO, |at| at + CALM);
        let storm = self.last_begin.map_or(Duration::ZERO, |at| {
            at + STORM.nth(self.spoiled.saturating_sub(1))
        });
        Some(calm.min(storm).max(self.not_before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn the_first_loss_is_healed_at_once_and_storms_have_breaks() {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.due(), None);
        schedule.want();
        assert_eq!(schedule.due(), Some(at(0.0)));
        schedule.began(at(0.0));
        assert_eq!(schedule.due(), None);
        schedule.done();
        // A loss a long time later.
        schedule.lost(at(100.0));
        assert!(schedule.due().unwrap() <= at(100.0));
        // While losses continue, the time between lists grows. A calm period begins a list earlier.
        let mut now = 100.0;
        for wait in [10.0, 20.0, 40.0, 60.0, 60.0] {
            schedule.began(at(now));
            schedule.lost(at(now + 1.0));
            schedule.was_spoiled();
            assert_eq!(schedule.due(), Some(at(now + 1.5)), "calm");
            schedule.lost(at(now + 80.0));
            assert_eq!(schedule.due(), Some(at(now + wait)));
            now += wait;
        }
        schedule.began(at(now));
        schedule.done();
        schedule.lost(at(now + 5.0));
        assert_eq!(schedule.due(), Some(at(now + 5.5)));
    }

    #[test]
    fn what_fails_is_tried_again_less_and_less() {
        let mut schedule = Schedule::default();
        schedule.want();
        for wait in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            schedule.began(at(1000.0));
            schedule.has_failed(at(1000.0));
            assert_eq!(schedule.due(), Some(at(1000.0 + wait)));
        }
        schedule.began(at(2000.0));
        schedule.done();
        schedule.want();
        schedule.began(at(3000.0));
        schedule.has_failed(at(3000.0));
        assert_eq!(schedule.due(), Some(at(3001.0)));
    }
}
