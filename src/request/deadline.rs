//! A request's deadline.
//!
//! It is a time that passes, and not one that a clock jumps to: where tokio's clock is paused it jumps
//! while a thread works, and the request has not become late by that.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep};

use crate::error::{Error, Result};
use crate::transport::Lanes;

/// Work that fails when it takes longer than a request may.
pub(super) struct InTime<F, B> {
    lanes: Arc<Lanes>,
    /// Since when the time counts; `None` for as long as it does not.
    began: B,
    work: Pin<Box<F>>,
    /// With the time at which it was set.
    alarm: Option<(Pin<Box<Sleep>>, Instant)>,
    /// How often the clock jumped to it, and nobody was at work.
    jumps: usize,
}

/// Jumps of a clock that is paused, a millisecond apart, before it counts as having passed.
const JUMPS: usize = 5;

impl<T, F, B> InTime<F, B>
where
    F: Future<Output = Result<T>>,
    B: Fn() -> Option<Instant> + Unpin,
{
    pub(super) fn new(lanes: Arc<Lanes>, began: B, work: F) -> Self {
        Self {
            lanes,
            began,
            work: Box::pin(work),
            alarm: None,
            jumps: 0,
        }
    }

    /// Is it too late? If not, the alarm is set.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let timeout = self.lanes.timeout;
        loop {
            let (alarm, set) = self
                .alarm
                .get_or_insert_with(|| (Box::pin(sleep(timeout)), Instant::now()));
            if alarm.as_mut().poll(cx).is_pending() {
                return false;
            }
            let is_early = set.elapsed() < timeout;
            self.alarm = None;
            match (self.began)() {
                Some(began) if began.elapsed() >= timeout => return true,
                _ if !is_early => {}
                // The clock jumps. Whoever is at work wakes this task in the end.
                _ if self.lanes.are_busy() => {
                    self.jumps = 0;
                    return false;
                }
                // Whoever has just ended may be about to wake another task that goes on.
                _ if self.jumps < JUMPS => {
                    self.jumps += 1;
                    std::thread::sleep(Duration::from_millis(1));
                }
                _ => return true,
            }
        }
    }
}

impl<T, F, B> Future for InTime<F, B>
where
    F: Future<Output = Result<T>>,
    B: Fn() -> Option<Instant> + Unpin,
{
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        if let Poll::Ready(result) = self.work.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        if !self.is_late(cx) {
            return Poll::Pending;
        }
        // It may be done by now.
        if let Poll::Ready(result) = self.work.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        let timeout = self.lanes.timeout;
        Poll::Ready(Err(match self.lanes.are_unattended() {
            true => Error::unattended(timeout),
            false => Error::timeout(timeout),
        }))
    }
}
