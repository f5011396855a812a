//! The control lane's queue: requests that wait to be sent, and answers that wait for their
//! callers.
//!
//! Each entry belongs to one future. It is added by the first poll, and removed when the future is
//! dropped. So the queue is never longer than the number of futures, and no future waits for
//! another to be polled.

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
    /// The sequence number of the request.
    pub(crate) seq: u32,
    /// The message that came before the verdict, if any.
    pub(crate) data: Option<Bytes>,
    pub(crate) verdict: Verdict,
}

/// A hash of the flow that a request is about. It is equal for requests about the same flow, in
/// either direction, and rarely equal for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subject(pub(crate) u64);

/// A request, and the requests that depend on its answer.
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

/// The requests that follow an answer.
///
/// The connection sends the steps one right after the other. No other request about the same flow
/// is sent between them.
pub(crate) trait Steps: Send {
    fn next(&mut self, reply: Reply) -> Step;
}

/// The next step.
pub(crate) enum Step {
    Send(Request),
    Done(Result<Reply>),
}

/// The queue keeps the capacity for this many waiting requests.
const USUAL: usize = 32;

#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    watch: Watch,
}

#[derive(Default)]
struct State {
    /// The waiting requests, in the order of their first polls.
    waiting: VecDeque<Arc<Call>>,
    /// How many of these were dropped by their callers.
    given_up: usize,
    /// Wakes the lane when a request is added.
    lane: Option<Waker>,
    /// Has the last handle been dropped?
    is_abandoned: bool,
    /// Has the lane been dropped?
    is_closed: bool,
}

/// A request, from its first poll to its answer. Its caller shares it with the queue first, and
/// with the lane after that.
struct Call {
    about: Option<Subject>,
    /// This lock may be taken while the queue's lock is held, never the other way round.
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
    /// The caller has its answer, or was dropped.
    Over,
}

impl Call {
    /// Ignores poisoning, because a panic leaves no change half made.
    fn lock(&self) -> MutexGuard<'_, CallState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the caller its answer, unless it was dropped or has its answer already.
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

/// A request that the lane took from the queue. If it is dropped without an answer, its caller gets
/// the error that the connection is closed.
pub(super) struct Taken {
    call: Arc<Call>,
    /// The requests that follow the answer.
    pub(super) steps: Option<Box<dyn Steps>>,
}

impl Taken {
    pub(super) fn about(&self) -> Option<Subject> {
        self.call.about
    }

    /// Does the caller still wait for it?
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
    /// Ignores poisoning, because a panic leaves no change half made.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Will all callers that wait now be woken before this time has passed?
    pub(super) fn is_watched(self: &Arc<Self>, timeout: Duration) -> bool {
        self.watch.is_set(self, timeout)
    }

    /// Wakes the callers of all waiting requests.
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

    /// The last handle is gone: no more requests will come.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.is_abandoned = true;
        let lane = state.lane.take();
        drop(state);
        if let Some(lane) = lane {
            lane.wake();
        }
    }

    /// Waits for a request to send; `None` when the queue is empty and all handles are gone.
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

    /// Is the lane alive, and the queue empty?
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        !state.is_closed && !state.has_unsent()
    }

    /// Sets the waker of the lane.
    pub(super) fn set_lane(&self, lane: &Waker) {
        self.lock().lane = Some(lane.clone());
    }

    /// Wakes the lane if there is work for it.
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

    /// Takes waiting requests in their order, for as long as `admits` returns `true`. Its arguments
    /// are the request, its subject, and whether steps may follow it.
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

    /// Marks a request as dropped by its caller, and returns what it held. The queue removes
    /// dropped requests in batches, so that this stays cheap.
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

    /// The lane is gone: all waiting and all later callers get an error.
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
    /// Adds a request to the queue; `caller` is woken by its answer.
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
                // Do not drop the old waker under the lock: a waker may do anything.
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
        // Usually the caller has its answer, and the queue's lock is not needed.
        if !matches!(self.call.lock().progress, Progress::Over) {
            drop(self.queue.give_up(&self.call));
        }
    }
}

#[cfg(test)]
mod tests;
