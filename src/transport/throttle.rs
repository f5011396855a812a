//! Warnings, one a second at the most.

use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(1);

/// Holds back warnings that come too soon, and counts them and what they would have told.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    last: Option<Instant>,
    held: Told,
}

/// What a line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Told {
    /// The sum of all that it stands for.
    pub(crate) count: u64,
    /// For how many it stands: itself, and those that were held back before.
    pub(crate) times: u64,
}

impl Throttle {
    /// What has to be told now, with all that was held back before; `None` where it is too soon.
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

    /// What was held back, for the last warning.
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
        // What was never made has no number, and is told of all the same.
        assert_eq!(throttle.add(0, at(3000)), told(0, 1));
    }
}
