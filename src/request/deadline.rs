//! The deadline of a request.
//!
//! It measures real time, even if tokio's clock is paused. A paused clock jumps forward while a
//! thread of ours works, and that alone must not time out the request. After the first jump, the
//! deadline follows the clock in small steps. It always keeps a timer set, because the busy thread
//! may be working for another request, and then does not wake this one.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use std::{mem, thread};

use tokio::time::{Sleep, sleep};

use crate::error::{Error, Result};
use crate::transport::Lanes;

/// The number of jumps of a paused clock, and the real time between them, before the request times
/// out.
const JUMPS: usize = 50;
const APART: Duration = Duration::from_micros(100);

/// The length of a step: tokio has no shorter timer.
const STEP: Duration = Duration::from_millis(1);

/// Runs work that fails when it exceeds the timeout of a request. `began` returns when the time
/// began to count, or `None` if it does not count yet. `is_watched` returns whether another timer
/// wakes this task in time.
pub(super) async fn in_time<T>(
    lanes: &Lanes,
    began: impl Fn() -> Option<Instant> + Sync,
    is_watched: impl Fn() -> bool,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut work = pin!(work);
    let mut timer = pin!(None);
    let mut is_first = true;
    let mut deadline = Deadline {
        lanes,
        began: &began,
        set: None,
        rest: lanes.timeout,
        most: lanes.timeout,
        jumps: 0,
    };
    poll_fn(|cx| {
        if let Poll::Ready(result) = work.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        // A task that was woken without an answer sets its own timer.
        let is_left_to_others = mem::take(&mut is_first) && is_watched();
        if is_left_to_others || !deadline.is_over(timer.as_mut(), cx) {
            return Poll::Pending;
        }
        // The work may have completed meanwhile.
        if let Poll::Ready(result) = work.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        Poll::Ready(Err(deadline.error()))
    })
    .await
}

/// It is not generic, so that it is compiled once, and not for each request.
struct Deadline<'a> {
    lanes: &'a Lanes,
    began: &'a (dyn Fn() -> Option<Instant> + Sync),
    /// When the timer was set.
    set: Option<Instant>,
    /// The duration of the timer.
    rest: Duration,
    /// The maximum duration of the timer.
    most: Duration,
    /// How often the clock jumped to the timer while no thread was busy.
    jumps: usize,
}

impl Deadline<'_> {
    fn error(&self) -> Error {
        match self.lanes.are_unattended() {
            true => Error::unattended(self.lanes.timeout),
            false => Error::timeout(self.lanes.timeout),
        }
    }

    /// Has the time passed? If not, this sets the timer.
    fn is_over(&mut self, mut timer: Pin<&mut Option<Sleep>>, cx: &mut Context<'_>) -> bool {
        let timeout = self.lanes.timeout;
        loop {
            if timer.is_none() {
                let began = (self.began)();
                let passed = began.map_or(Duration::ZERO, |began| began.elapsed());
                self.rest = timeout.saturating_sub(passed).min(self.most);
                timer.set(Some(sleep(self.rest)));
                self.set = Some(Instant::now());
            }
            let running = timer.as_mut().as_pin_mut();
            if running.is_some_and(|timer| timer.poll(cx).is_pending()) {
                return false;
            }
            timer.set(None);
            let is_early = self.set.is_some_and(|set| set.elapsed() < self.rest);
            let is_busy = self.lanes.are_busy();
            match (self.began)() {
                Some(began) if began.elapsed() >= timeout => return true,
                _ if !is_early => self.most = timeout,
                _ if !is_busy && self.jumps == JUMPS => return true,
                // A thread that has just finished may be about to wake the task that continues the
                // work.
                _ => {
                    self.jumps = if is_busy { 0 } else { self.jumps + 1 };
                    self.most = STEP;
                    thread::sleep(APART);
                }
            }
        }
    }
}
