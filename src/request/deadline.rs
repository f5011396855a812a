//! A request's deadline.
//!
//! It is a time that passes, and not one that a clock jumps to: where tokio's clock is paused it jumps
//! while a thread works, and the request has not become late by that. From the first jump on the clock
//! is followed in small steps: it never goes unwatched, for whoever is at work need not be so for this
//! request, and may wake nobody.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use std::{mem, thread};

use tokio::time::{Sleep, sleep};

use crate::error::{Error, Result};
use crate::transport::Lanes;

/// Jumps of a clock that is paused, so far apart, before it counts as having passed.
const JUMPS: usize = 50;
const APART: Duration = Duration::from_micros(100);

/// How far it jumps: no timer of tokio's is shorter.
const STEP: Duration = Duration::from_millis(1);

/// Work that fails when it takes longer than a request may. `began` says since when the time counts;
/// `None` for as long as it does not. `is_watched`, that somebody else wakes this task in time.
pub(super) async fn in_time<T>(
    lanes: &Lanes,
    began: impl Fn() -> Option<Instant>,
    is_watched: impl Fn() -> bool,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut work = pin!(work);
    let mut alarm = pin!(None);
    let mut is_first = true;
    let mut deadline = Deadline {
        lanes,
        began,
        set: None,
        rest: lanes.timeout,
        most: lanes.timeout,
        jumps: 0,
    };
    poll_fn(|cx| {
        if let Poll::Ready(result) = work.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        // Who is woken and has no answer sees to it by itself.
        let is_left_to_others = mem::take(&mut is_first) && is_watched();
        if is_left_to_others || !deadline.is_over(alarm.as_mut(), cx) {
            return Poll::Pending;
        }
        // It may be done by now.
        if let Poll::Ready(result) = work.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        Poll::Ready(Err(match lanes.are_unattended() {
            true => Error::unattended(lanes.timeout),
            false => Error::timeout(lanes.timeout),
        }))
    })
    .await
}

struct Deadline<'a, B> {
    lanes: &'a Lanes,
    began: B,
    /// When the alarm was set.
    set: Option<Instant>,
    /// For how long.
    rest: Duration,
    /// The longest that it is to be set for.
    most: Duration,
    /// How often the clock jumped to it, and nobody was at work.
    jumps: usize,
}

impl<B: Fn() -> Option<Instant>> Deadline<'_, B> {
    /// Is it too late? If not, the alarm is set.
    fn is_over(&mut self, mut alarm: Pin<&mut Option<Sleep>>, cx: &mut Context<'_>) -> bool {
        let timeout = self.lanes.timeout;
        loop {
            if alarm.is_none() {
                let began = (self.began)();
                let passed = began.map_or(Duration::ZERO, |began| began.elapsed());
                self.rest = timeout.saturating_sub(passed).min(self.most);
                alarm.set(Some(sleep(self.rest)));
                self.set = Some(Instant::now());
            }
            let rings = alarm.as_mut().as_pin_mut();
            if rings.is_some_and(|alarm| alarm.poll(cx).is_pending()) {
                return false;
            }
            alarm.set(None);
            let is_early = self.set.is_some_and(|set| set.elapsed() < self.rest);
            let is_busy = self.lanes.are_busy();
            match (self.began)() {
                Some(began) if began.elapsed() >= timeout => return true,
                _ if !is_early => self.most = timeout,
                _ if !is_busy && self.jumps == JUMPS => return true,
                // Whoever has just ended may be about to wake another task that goes on.
                _ => {
                    self.jumps = if is_busy { 0 } else { self.jumps + 1 };
                    self.most = STEP;
                    thread::sleep(APART);
                }
            }
        }
    }
}
