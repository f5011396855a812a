//! Limits warnings to one per second.

use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(1);

/// Holds back warnings that come too soon, and adds up what they would have said.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    last: Option<Instant>,
    held: Told,
}

/// The numbers in a line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Told {
    /// The sum of the counts of all warnings in it.
    pub(crate) count: u64,
    /// The number of warnings in it: this one, and those that were held back before.
    pub(crate) times: u64,
}

impl Throttle {
    /// Returns what to log now, together with everything that was held back. `None` if it is too
    /// soon.
    pub(crate) fn add(&mut self, count: u64, now: Instant) -> Option<Told> {
        self.held.count = self.held.count.saturating_add(count);
        self.held.times += 1;
        let is_too_soon = self.last.is_some_and(|last| now < last + EVERY);
        if is_too_soon {
            return None;
        }
        self.last = Some(now);
        self.rest()
    }

    /// Takes everything that was held back, for the last warning.
    pub(crate) fn rest(&mut self) -> Option<Told> {
        Some(std::mem::take(&mut self.held)).filter(|held| held.times > 0)
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
        let told = |count, times| Some(Told { count, times });
        assert_eq!(throttle.rest(), None);
        assert_eq!(throttle.add(5, at(0)), told(5, 1));
        assert_eq!(throttle.add(1, at(10)), None);
        assert_eq!(throttle.add(2, at(999)), None);
        assert_eq!(throttle.add(4, at(1000)), told(7, 3));
        assert_eq!(throttle.add(1, at(1500)), None);
        assert_eq!(throttle.rest(), told(1, 1));
        assert_eq!(throttle.rest(), None);
        assert_eq!(throttle.add(u64::MAX, at(2000)), told(u64::MAX, 1));
        // A warning with a count of zero is logged too.
        assert_eq!(throttle.add(0, at(3000)), told(0, 1));
    }
}
