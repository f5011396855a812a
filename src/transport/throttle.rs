//! Warnings, one a second at the most.

use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(1);

/// Holds back warnings that come too soon, and counts what they would have told.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    last: Option<Instant>,
    held: u64,
}

impl Throttle {
    /// What has to be told now, with all that was held back before; `None` where it is too soon.
    pub(crate) fn add(&mut self, count: u64, now: Instant) -> Option<u64> {
        self.held = self.held.saturating_add(count);
        let is_too_soon = self.last.is_some_and(|last| now < last + EVERY);
        if is_too_soon {
            return None;
        }
        self.last = Some(now);
        self.rest()
    }

    /// What was held back, for the last warning.
    pub(crate) fn rest(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.held)).filter(|held| *held > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_second_and_nothing_is_forgotten() {
        let mut throttle = Throttle::default();
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        assert_eq!(throttle.rest(), None);
        assert_eq!(throttle.add(5, at(0)), Some(5));
        assert_eq!(throttle.add(1, at(10)), None);
        assert_eq!(throttle.add(2, at(999)), None);
        assert_eq!(throttle.add(4, at(1000)), Some(7));
        assert_eq!(throttle.add(1, at(1500)), None);
        assert_eq!(throttle.rest(), Some(1));
        assert_eq!(throttle.rest(), None);
        assert_eq!(throttle.add(u64::MAX, at(2000)), Some(u64::MAX));
    }
}
