//! Sends requests. The lane's task sends the requests that wait in the queue. A request that finds
//! the queue empty can be sent directly by its caller.
//!
//! For a single request, going through the task costs more than the kernel does: two task switches
//! and a poll of the reactor. So single requests are sent and answered in their first poll, a few
//! in a row. Then one request goes through the task again, which checks whether other requests are
//! waiting, and lets other tasks run. When many requests wait, they are sent together, which is
//! cheaper still.
//!
//! A send can block in the kernel. A program may run the task in its own runtime, so that no other
//! runtime blocks. So only callers in the task's runtime send directly.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll};

use tokio::runtime::{Handle, Id};

use super::exchange::{Exchange, Requests};
use crate::error::{Error, Result};
use crate::transport::queue::{Queue, Reply, Step, Subject, Taken, Work};
use crate::transport::socket::Socket;
use crate::transport::turn::{self, Sending};
use crate::transport::window::Window;
use crate::wire::message::Request;

/// How many single requests in a row are sent by their callers: at 300 000 per second, 0.1 ms.
const ALONE: u32 = 32;

/// Sends requests, and gives callers their answers.
pub(super) struct Sender {
    /// The next steps of earlier requests. They are sent before the waiting requests.
    next: Vec<(Taken, Request)>,
    /// The next steps from the answers to the current datagram.
    steps: Vec<(Taken, Request)>,
    /// The requests of the current datagram.
    taken: Vec<Taken>,
    requests: Requests,
    window: Window,
    exchange: Exchange,
    /// How many more requests their callers may send.
    alone: u32,
    /// The runtime of the lane's task.
    runtime: Option<Id>,
    /// Why the socket is unusable. The task returns this error.
    failure: Option<Error>,
}

/// A [`Sender`], until the lane is dropped. It is locked while one datagram is sent and answered.
/// Nothing blocks on this lock: a caller that finds it taken leaves the request to the task, and
/// the task is woken.
pub(super) struct Shared(Mutex<Option<Sender>>);

impl Shared {
    pub(super) fn new(sender: Sender) -> Self {
        Self(Mutex::new(Some(sender)))
    }

    /// After a panic in the middle of an exchange, its late answers match no other exchange.
    fn try_lock(&self) -> Option<MutexGuard<'_, Option<Sender>>> {
        match self.0.try_lock() {
            Ok(sender) => Some(sender),
            Err(TryLockError::Poisoned(sender)) => Some(sender.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// For the lane's task.
    pub(super) fn poll_lock(
        &self,
        queue: &Queue,
        cx: &mut Context<'_>,
    ) -> Poll<MutexGuard<'_, Option<Sender>>> {
        if let Some(sender) = self.try_lock() {
            return Poll::Ready(sender);
        }
        queue.set_lane(cx.waker());
        // The holder of the lock may have checked for a waker before it was set.
        match self.try_lock() {
            Some(sender) => Poll::Ready(sender),
            None => Poll::Pending,
        }
    }

    /// Sends a request and returns its answer at once, if that is possible. Otherwise it returns
    /// the request.
    pub(super) fn send_alone(&self, queue: &Queue, work: Work) -> Result<Result<Reply>, Work> {
        let answer = match self.try_lock() {
            Some(mut sender) => match &mut *sender {
                Some(sender) => sender.send_alone(queue, work),
                None => Err(work),
            },
            None => return Err(work),
        };
        // The lane may have found the lock taken meanwhile.
        queue.wake_lane();
        answer
    }

    /// Drops the sender.
    pub(super) fn close(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Sender {
    pub(super) fn over(socket: Socket) -> Result<Self> {
        Ok(Self {
            next: Vec::new(),
            steps: Vec::new(),
            taken: Vec::new(),
            requests: Requests::default(),
            window: Window::of(&socket)?,
            exchange: Exchange::over(socket),
            alone: 0,
            runtime: None,
            failure: None,
        })
    }

    pub(super) fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    /// Is a next step waiting to be sent?
    pub(super) fn has_steps(&self) -> bool {
        !self.next.is_empty()
    }

    fn send_alone(&mut self, queue: &Queue, work: Work) -> Result<Result<Reply>, Work> {
        let may = self.alone > 0
            && work.steps.is_none()
            && !self.has_steps()
            && queue.is_idle()
            && self.runtime == runtime();
        let Some(_sending) = may.then(turn::try_send).flatten() else {
            return Err(work);
        };
        self.alone -= 1;
        let mut answer = Err(Error::closed());
        let sent = self
            .exchange
            .send_alone(work.request, &mut |given| answer = given);
        if let Err(error) = sent {
            queue.close();
            self.failure = Some(error);
        }
        Ok(answer)
    }

    /// Sends waiting requests as one datagram.
    pub(super) fn send(&mut self, queue: &Queue, sending: Sending) -> Result<()> {
        self.gather(queue);
        let is_alone = self.taken.len() == 1;
        // Requests that are left here get the error that the connection is closed.
        let mut taken = self.taken.drain(..);
        let next = &mut self.steps;
        let requests = mem::take(&mut self.requests);
        let sent = self.exchange.send(requests, &mut |answer| {
            if let Some(taken) = taken.next() {
                settle(taken, answer, next);
            }
        });
        drop((taken, sending));
        sent.inspect_err(|_| queue.close())?;
        // New steps come before the steps that did not fit into the datagram.
        self.steps.append(&mut self.next);
        mem::swap(&mut self.steps, &mut self.next);
        self.runtime = runtime();
        self.alone = match is_alone && self.runtime.is_some() && queue.is_idle() {
            true => ALONE,
            false => 0,
        };
        Ok(())
    }

    /// Collects the next datagram: next steps first, then waiting requests. It stops before a
    /// request about a flow if an earlier request about that flow may take more steps.
    fn gather(&mut self, queue: &Queue) {
        let Self {
            next,
            taken,
            requests,
            window,
            ..
        } = self;
        window.clear();
        // A step is not sent if its caller was dropped.
        next.retain(|(taken, _)| taken.is_wanted());
        let mut stepping: Vec<Option<Subject>> =
            next.iter().map(|(taken, _)| taken.about()).collect();
        let room = next
            .iter()
            .take_while(|(_, request)| window.admits(request.expects_data(), request.len()))
            .count();
        let has_more = room < next.len();
        let mut give = |given: Taken, request: Request| {
            taken.push(given);
            requests.push(request);
        };
        next.drain(..room)
            .for_each(|(given, request)| give(given, request));
        if has_more {
            return;
        }
        let admits = |request: &Request, about: Option<Subject>, takes_steps: bool| {
            let is_held = about.is_some() && stepping.contains(&about);
            if is_held || !window.admits(request.expects_data(), request.len()) {
                return false;
            }
            if takes_steps {
                stepping.push(about);
            }
            true
        };
        queue.take(admits, give);
    }
}

/// The runtime that polls this.
fn runtime() -> Option<Id> {
    Handle::try_current().ok().map(|runtime| runtime.id())
}

/// Gives a caller its answer, or keeps the next step.
fn settle(mut taken: Taken, answer: Result<Reply>, next: &mut Vec<(Taken, Request)>) {
    let answer = match (&mut taken.steps, answer) {
        (Some(steps), Ok(reply)) => match steps.next(reply) {
            Step::Send(request) => {
                next.push((taken, request));
                return;
            }
            Step::Done(answer) => answer,
        },
        (_, answer) => answer,
    };
    taken.answer(answer);
}
