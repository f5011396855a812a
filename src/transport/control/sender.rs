//! Sending: by the lane's task what waits in the queue, and in place of it, for a request that finds
//! nobody before it, by whoever makes that.
//!
//! The task costs a request that comes alone more than the kernel does: two switches of tasks and a
//! look at what the reactor has. So requests that came alone are answered in the first poll, a few in
//! a row; then one goes by the task again, which sees whether others have come to wait meanwhile, and
//! gives other tasks their turn. Where many wait they leave together, which is cheaper still.
//!
//! A send can wait for the kernel. Who has the task run in a runtime of its own wants no other runtime
//! to wait, so only those of the task's runtime send.

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

/// Requests in a row that need no task, after one that came alone: at 300 000 a second, 0.1 ms.
const ALONE: u32 = 32;

/// Sends requests, and gives callers their answers.
pub(super) struct Sender {
    /// Steps that an answer has shown, before all that waits.
    next: Vec<(Taken, Request)>,
    /// Those that the answers of the datagram at hand show.
    steps: Vec<(Taken, Request)>,
    /// What is in the datagram at hand.
    taken: Vec<Taken>,
    requests: Requests,
    window: Window,
    exchange: Exchange,
    /// How many requests may yet be sent by those that make them.
    alone: u32,
    /// Where the lane's task runs.
    runtime: Option<Id>,
    /// Why the socket is of no use any more; the task is to tell.
    failure: Option<Error>,
}

/// A [`Sender`], until the lane is gone. It is held while one datagram is sent and answered, and nobody
/// waits for it: who makes a request leaves it to the task instead, and the task is woken.
pub(super) struct Shared(Mutex<Option<Sender>>);

impl Shared {
    pub(super) fn new(sender: Sender) -> Self {
        Self(Mutex::new(Some(sender)))
    }

    /// After a panic in the middle of an exchange, what comes for that one answers no other.
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
        // Whoever had it may have looked for a lane to wake before there was one.
        match self.try_lock() {
            Some(sender) => Poll::Ready(sender),
            None => Poll::Pending,
        }
    }

    /// Sends a request and takes up its answer at once, where it may: else gives it back.
    pub(super) fn send_alone(&self, queue: &Queue, work: Work) -> Result<Result<Reply>, Work> {
        let answer = match self.try_lock() {
            Some(mut sender) => match &mut *sender {
                Some(sender) => sender.send_alone(queue, work),
                None => Err(work),
            },
            None => return Err(work),
        };
        // The lane may have found it taken meanwhile.
        queue.wake_lane();
        answer
    }

    /// Drops it.
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

    /// Does something follow on an answer?
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

    /// Sends a datagram of what waits.
    pub(super) fn send(&mut self, queue: &Queue, sending: Sending) -> Result<()> {
        self.gather(queue);
        let is_alone = self.taken.len() == 1;
        // Whatever is left of these learns that the lane is gone.
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
        // They come before those that have yet to take theirs.
        self.steps.append(&mut self.next);
        mem::swap(&mut self.steps, &mut self.next);
        self.runtime = runtime();
        self.alone = match is_alone && self.runtime.is_some() && queue.is_idle() {
            true => ALONE,
            false => 0,
        };
        Ok(())
    }

    /// What goes into the next datagram: steps first, then what waits. It ends before a request about
    /// a flow that a request before it takes steps with.
    fn gather(&mut self, queue: &Queue) {
        let Self {
            next,
            taken,
            requests,
            window,
            ..
        } = self;
        window.clear();
        // Whoever does not wait any more does not want it sent.
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

/// The runtime that this is polled in.
fn runtime() -> Option<Id> {
    Handle::try_current().ok().map(|runtime| runtime.id())
}

/// Gives a caller its answer, or keeps what follows on it.
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
