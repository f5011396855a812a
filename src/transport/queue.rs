//! The control lane's queue: what waits to be sent, and the answers that wait for their callers.
//!
//! An entry belongs to a future: it comes with the first poll, and goes when the future does. So the
//! queue is as long as there are futures, and none of them waits for another to be polled.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::wire::message::{Request, Verdict};

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

#[derive(Default)]
pub(super) struct Queue(Mutex<State>);

#[derive(Default)]
struct State {
    /// By their numbers, in the order of their first polls.
    calls: BTreeMap<u64, Call>,
    next: u64,
    /// The first that has not been taken to be sent.
    unsent: u64,
    /// Whom to wake when there is more.
    lane: Option<Waker>,
    /// Is the last handle gone?
    is_abandoned: bool,
    /// Is the lane gone?
    is_closed: bool,
}

struct Call {
    caller: Waker,
    about: Option<Subject>,
    progress: Progress,
}

enum Progress {
    Waits(Work),
    Sent,
    Ended(Result<Reply>),
}

/// What the lane takes.
pub(super) struct Taken {
    pub(super) number: u64,
    pub(super) about: Option<Subject>,
    /// What follows on the answer.
    pub(super) steps: Option<Box<dyn Steps>>,
}

impl Queue {
    /// Nothing here is left half done by a panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Takes what waits, in its order, for as long as `admits` says so of a request, of what it is
    /// about, and of whether others may follow on it.
    pub(super) fn take(
        &self,
        mut admits: impl FnMut(&Request, Option<Subject>, bool) -> bool,
        mut give: impl FnMut(Taken, Request),
    ) {
        let mut state = self.lock();
        let State { calls, unsent, .. } = &mut *state;
        for (&number, call) in calls.range_mut(*unsent..) {
            let Progress::Waits(work) = &call.progress else {
                continue;
            };
            if !admits(&work.request, call.about, work.steps.is_some()) {
                break;
            }
            if let Progress::Waits(work) = std::mem::replace(&mut call.progress, Progress::Sent) {
                let taken = Taken {
                    number,
                    about: call.about,
                    steps: work.steps,
                };
                give(taken, work.request);
            }
            *unsent = number + 1;
        }
    }

    /// Does somebody still wait for it?
    pub(super) fn is_wanted(&self, number: u64) -> bool {
        self.lock().calls.contains_key(&number)
    }

    /// Gives callers their answers.
    pub(super) fn answer(&self, answers: impl Iterator<Item = (u64, Result<Reply>)>) {
        let mut callers = Vec::new();
        let mut state = self.lock();
        for (number, answer) in answers {
            // A caller that is gone needs none.
            if let Some(call) = state.calls.get_mut(&number) {
                call.progress = Progress::Ended(answer);
                callers.push(std::mem::replace(&mut call.caller, Waker::noop().clone()));
            }
        }
        drop(state);
        callers.into_iter().for_each(Waker::wake);
    }

    /// The lane is gone: whoever waits, and whoever comes, is to know.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let noop = || Waker::noop().clone();
        let callers = state.calls.values_mut();
        let callers: Vec<_> = callers
            .map(|call| std::mem::replace(&mut call.caller, noop()))
            .collect();
        drop(state);
        callers.into_iter().for_each(Waker::wake);
    }
}

impl State {
    fn has_unsent(&self) -> bool {
        self.calls.range(self.unsent..).next().is_some()
    }
}

/// A caller's place in the queue.
pub(super) struct Place {
    queue: Arc<Queue>,
    number: u64,
}

impl Place {
    /// Takes a place; `caller` is told of the answer.
    pub(super) fn new(
        queue: &Arc<Queue>,
        work: Work,
        about: Option<Subject>,
        caller: &Waker,
    ) -> Result<Self> {
        let mut state = queue.lock();
        if state.is_closed {
            return Err(Error::closed());
        }
        let number = state.next;
        state.next += 1;
        let caller = caller.clone();
        let progress = Progress::Waits(work);
        let call = Call {
            caller,
            about,
            progress,
        };
        state.calls.insert(number, call);
        let lane = state.lane.take();
        drop(state);
        if let Some(lane) = lane {
            lane.wake();
        }
        let queue = Arc::clone(queue);
        Ok(Self { queue, number })
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Reply>> {
        let mut state = self.queue.lock();
        let is_closed = state.is_closed;
        let Some(call) = state.calls.get_mut(&self.number) else {
            return Poll::Ready(Err(Error::closed()));
        };
        if let Progress::Ended(_) = call.progress {
            if let Progress::Ended(answer) = std::mem::replace(&mut call.progress, Progress::Sent) {
                return Poll::Ready(answer);
            }
        }
        if is_closed {
            return Poll::Ready(Err(Error::closed()));
        }
        call.caller.clone_from(cx.waker());
        Poll::Pending
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let call = self.queue.lock().calls.remove(&self.number);
        // What it holds is the caller's, and may do anything: not under the lock.
        drop(call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::uapi::{AF_INET, IPCTNL_MSG_CT_GET};

    fn work() -> Work {
        Request::new(IPCTNL_MSG_CT_GET, 0, AF_INET).into()
    }

    fn place(queue: &Arc<Queue>) -> Place {
        Place::new(queue, work(), None, Waker::noop()).unwrap()
    }

    fn taken(queue: &Queue, mut room: usize) -> Vec<u64> {
        let mut taken = Vec::new();
        let admits = |_: &Request, _: Option<Subject>, _| {
            let admits = room > 0;
            room -= usize::from(admits);
            admits
        };
        queue.take(admits, |given, _| taken.push(given.number));
        taken
    }

    #[test]
    fn a_million_that_are_dropped_leave_nothing() {
        let queue = Arc::new(Queue::default());
        let kept = place(&queue);
        for _ in 0..1000 {
            let places: Vec<_> = (0..1000).map(|_| place(&queue)).collect();
            drop(places);
        }
        assert_eq!(queue.lock().calls.len(), 1);
        drop(kept);
        assert!(queue.lock().calls.is_empty());
        assert!(!queue.has_unsent());
    }

    #[test]
    fn they_are_taken_in_their_order_and_answered_by_their_numbers() {
        let queue = Arc::new(Queue::default());
        let mut places: Vec<_> = (0..10).map(|_| place(&queue)).collect();
        places.remove(3);
        assert_eq!(taken(&queue, 4), [0, 1, 2, 4]);
        assert_eq!(taken(&queue, 100), [5, 6, 7, 8, 9]);
        places.remove(1);
        assert!(!queue.is_wanted(1) && queue.is_wanted(2));
        let reply = |number| {
            let reply = Reply {
                seq: number as u32,
                data: None,
                verdict: Verdict::of(0),
            };
            (number, Ok(reply))
        };
        queue.answer([1, 2].into_iter().map(reply));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(places[0].poll(&mut cx).is_pending());
        match places[1].poll(&mut cx) {
            Poll::Ready(Ok(reply)) => assert_eq!(reply.seq, 2),
            _ => panic!("no answer"),
        }
        queue.close();
        assert!(matches!(places[0].poll(&mut cx), Poll::Ready(Err(_))));
        assert!(Place::new(&queue, work(), None, Waker::noop()).is_err());
    }
}
