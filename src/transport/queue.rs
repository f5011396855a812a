//! The control lane's queue: what waits to be sent, and the answers that wait for their callers.
//!
//! An entry belongs to a future: it comes with the first poll, and goes when the future does. So the
//! queue is as long as there are futures, and none of them waits for another to be polled.

mod watch;

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::wire::message::{Request, Verdict};
use watch::Watch;

/// The kernel's answer to a request.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The sequence number that the request had.
    pub(crate) seq: u32,
    /// The message that came before the verdict, if any.
    pub(crate) data: Option<Bytes>,
    pub(crate) verdict: Verdict,
}

/// What a request is about: equal for requests that may be about the same flow, in either direction,
/// and seldom for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subject(pub(crate) u64);

/// What is to be done: a request, and others that depend on its answer.
pub(crate) struct Work {
    pub(crate) request: Request,
    pub(crate) steps: Option<Box<dyn Steps>>,
}

impl From<Request> for Work {
    fn from(request: Request) -> Self {
        Self {
            request,
            steps: None,
        }
    }
}

/// What follows on an answer.
///
/// The steps are taken by the connection, one right after the other: no request on the same flow gets
/// in between.
pub(crate) trait Steps: Send {
    fn next(&mut self, reply: Reply) -> Step;
}

/// What follows.
pub(crate) enum Step {
    Send(Request),
    Done(Result<Reply>),
}

/// Requests that wait at a time: the room for them is kept.
const USUAL: usize = 32;

#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    watch: Watch,
}

#[derive(Default)]
struct State {
    /// In the order of their first polls.
    waiting: VecDeque<Arc<Call>>,
    /// How many of these have no caller any more.
    given_up: usize,
    /// Whom to wake when there is more.
    lane: Option<Waker>,
    /// Is the last handle gone?
    is_abandoned: bool,
    /// Is the lane gone?
    is_closed: bool,
}

/// A request, from its first poll to its answer: its caller has it, and first the queue, then the lane.
struct Call {
    about: Option<Subject>,
    /// Taken under the queue's lock or alone, and never held while that is waited for.
    state: Mutex<CallState>,
}

struct CallState {
    caller: Waker,
    progress: Progress,
}

enum Progress {
    Waits(Work),
    Sent,
    Ended(Result<Reply>),
    /// The caller has its answer, or wants none.
    Over,
}

impl Call {
    /// Nothing here is left half done by a panic.
    fn lock(&self) -> MutexGuard<'_, CallState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the caller its answer. One that is gone needs none, and one that has it no other.
    fn end(&self, answer: Result<Reply>) {
        let mut state = self.lock();
        if let Progress::Waits(_) | Progress::Sent = state.progress {
            let before = mem::replace(&mut state.progress, Progress::Ended(answer));
            let caller = mem::replace(&mut state.caller, Waker::noop().clone());
            drop(state);
            drop(before);
            caller.wake();
        }
    }
}

/// What the lane takes. Dropped without an answer, its caller learns that the lane is gone.
pub(super) struct Taken {
    call: Arc<Call>,
    /// What follows on the answer.
    pub(super) steps: Option<Box<dyn Steps>>,
}

impl Taken {
    pub(super) fn about(&self) -> Option<Subject> {
        self.call.about
    }

    /// Does somebody still wait for it?
    pub(super) fn is_wanted(&self) -> bool {
        !matches!(self.call.lock().progress, Progress::Over)
    }

    /// Gives the caller its answer.
    pub(super) fn answer(self, answer: Result<Reply>) {
        self.call.end(answer);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let has_answer = !matches!(self.call.lock().progress, Progress::Sent);
        if !has_answer {
            self.call.end(Err(Error::closed()));
        }
    }
}

impl Queue {
    /// Nothing here is left half done by a panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Will all that wait by now be woken before this time has passed?
    pub(super) fn is_watched(self: &Arc<Self>, timeout: Duration) -> bool {
        self.watch.is_set(self, timeout)
    }

    /// Wakes the callers of all that waits.
    fn wake_waiting(&self) {
        let state = self.lock();
        let callers = state.waiting.iter().map(|call| call.lock().caller.clone());
        let callers: Vec<_> = callers.collect();
        drop(state);
        callers.into_iter().for_each(Waker::wake);
    }

    pub(super) fn check_open(&self) -> Result<()> {
        match self.lock().is_closed {
            true => Err(Error::closed()),
            false => Ok(()),
        }
    }

    /// No more will come.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.is_abandoned = true;
        let lane = state.lane.take();
        drop(state);
        if let Some(lane) = lane {
            lane.wake();
        }
    }

    /// Does something wait to be sent? `None` where nothing ever will.
    pub(super) fn poll_waiting(&self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let mut state = self.lock();
        if state.has_unsent() {
            return Poll::Ready(Some(()));
        }
        if state.is_abandoned {
            return Poll::Ready(None);
        }
        state.lane = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.lock().has_unsent()
    }

    /// Is there a lane, and nothing that waits for it?
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        !state.is_closed && !state.has_unsent()
    }

    /// Whom to wake when there is more.
    pub(super) fn set_lane(&self, lane: &Waker) {
        self.lock().lane = Some(lane.clone());
    }

    /// Wakes the lane where there is work for it.
    pub(super) fn wake_lane(&self) {
        let mut state = self.lock();
        if state.has_unsent() || state.is_abandoned || state.is_closed {
            let lane = state.lane.take();
            drop(state);
            if let Some(lane) = lane {
                lane.wake();
            }
        }
    }

    /// Takes what waits, in its order, for as long as `admits` says so of a request, of what it is
    /// about, and of whether others may follow on it.
    pub(super) fn take(
        &self,
        mut admits: impl FnMut(&Request, Option<Subject>, bool) -> bool,
        mut give: impl FnMut(Taken, Request),
    ) {
        let mut state = self.lock();
        while let Some(call) = state.waiting.front() {
            let mut shared = call.lock();
            match &shared.progress {
                Progress::Waits(work) => {
                    if !admits(&work.request, call.about, work.steps.is_some()) {
                        return;
                    }
                }
                _ => {
                    drop(shared);
                    state.waiting.pop_front();
                    state.given_up -= 1;
                    continue;
                }
            }
            let before = mem::replace(&mut shared.progress, Progress::Sent);
            drop(shared);
            if let (Progress::Waits(work), Some(call)) = (before, state.waiting.pop_front()) {
                let Work { request, steps } = work;
                give(Taken { call, steps }, request);
            }
        }
    }

    /// Its caller is gone: what it holds. It leaves the line at once or, so that this costs little,
    /// with others.
    fn give_up(&self, call: &Call) -> (Progress, Waker) {
        let mut state = self.lock();
        let mut shared = call.lock();
        let progress = mem::replace(&mut shared.progress, Progress::Over);
        let caller = mem::replace(&mut shared.caller, Waker::noop().clone());
        drop(shared);
        if let Progress::Waits(_) = progress {
            state.given_up += 1;
            if state.given_up > state.waiting.len() / 2 {
                let waits = |call: &Arc<Call>| matches!(call.lock().progress, Progress::Waits(_));
                state.waiting.retain(waits);
                let room = 2 * state.waiting.len().max(USUAL);
                state.waiting.shrink_to(room);
                state.given_up = 0;
            }
        }
        (progress, caller)
    }

    /// The lane is gone: whoever waits, and whoever comes, is to know.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let waiting = mem::take(&mut state.waiting);
        state.given_up = 0;
        drop(state);
        for call in waiting {
            call.end(Err(Error::closed()));
        }
    }
}

impl State {
    fn has_unsent(&self) -> bool {
        self.waiting.len() > self.given_up
    }
}

/// A caller's place in the queue.
pub(super) struct Place {
    queue: Arc<Queue>,
    call: Arc<Call>,
}

impl Place {
    /// Takes a place; `caller` is told of the answer.
    pub(super) fn new(
        queue: &Arc<Queue>,
        work: Work,
        about: Option<Subject>,
        caller: &Waker,
    ) -> Result<Self> {
        let state = CallState {
            caller: caller.clone(),
            progress: Progress::Waits(work),
        };
        let call = Arc::new(Call {
            about,
            state: Mutex::new(state),
        });
        let mut state = queue.lock();
        if state.is_closed {
            return Err(Error::closed());
        }
        state.waiting.push_back(Arc::clone(&call));
        let lane = state.lane.take();
        drop(state);
        if let Some(lane) = lane {
            lane.wake();
        }
        let queue = Arc::clone(queue);
        Ok(Self { queue, call })
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply>> {
        let mut state = self.call.lock();
        match state.progress {
            Progress::Waits(_) | Progress::Sent => {
                // What it drops is the caller's, and may do anything: not under the lock.
                let before = mem::replace(&mut state.caller, cx.waker().clone());
                drop(state);
                drop(before);
                Poll::Pending
            }
            Progress::Ended(_) | Progress::Over => {
                match mem::replace(&mut state.progress, Progress::Over) {
                    Progress::Ended(answer) => Poll::Ready(answer),
                    _ => Poll::Ready(Err(Error::closed())),
                }
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // It may have been answered in this moment; the usual place was.
        if !matches!(self.call.lock().progress, Progress::Over) {
            drop(self.queue.give_up(&self.call));
        }
    }
}

#[cfg(test)]
mod tests;
