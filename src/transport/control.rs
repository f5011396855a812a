//! The control lane: one socket, on one task, for all requests that name one object.
//!
//! Requests that wait when the task comes round leave together in one datagram; the kernel acts on
//! them inside our `send`, so that the answers are there when it returns.

mod exchange;
mod proto;
mod socket;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::queue::{self, Queue, Step, Subject, Taken, Work};
use super::socket::Socket;
use super::turn;
use super::window::Window;
use crate::error::{Error, Result};
use crate::wire::message::Request;
use exchange::Exchange;

/// Datagrams in a row before other tasks get their turn: at 311 000 marks a second, 0.8 ms.
const ROUNDS: usize = 4;

/// The handle's end of the lane.
pub(crate) struct Client(Arc<Queue>);

/// A request of a [`Client`]'s.
pub(crate) struct Call<'a> {
    client: &'a Client,
    /// Until the first poll.
    work: Option<(Work, Option<Subject>)>,
    place: Option<queue::Place>,
}

/// The task's end of the lane: completes when the last [`Client`] is gone and all is answered.
pub(crate) struct Lane {
    queue: Arc<Queue>,
    /// Steps that an answer has shown, before all that waits.
    next: Vec<(Taken, Request)>,
    place: turn::Place,
    window: Window,
    exchange: Exchange,
}

/// The two ends of a lane on this socket.
pub(crate) fn open(socket: Socket) -> Result<(Lane, Client)> {
    let queue = Arc::new(Queue::default());
    let lane = Lane {
        queue: Arc::clone(&queue),
        next: Vec::new(),
        place: turn::Place::new(),
        window: Window::of(&socket)?,
        exchange: Exchange::over(socket),
    };
    Ok((lane, Client(queue)))
}

impl Client {
    /// Sends a request and waits for the kernel's verdict. Requests about
    /// the same flow are sent in the order of their first polls, and none between the steps of another.
    pub(crate) fn call(&self, work: Work, about: Option<Subject>) -> Call<'_> {
        Call {
            client: self,
            work: Some((work, about)),
            place: None,
        }
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        self.0.check_open()
    }

    /// Does something wait to be sent? Where nothing holds the lane up, nobody polls it.
    pub(crate) fn has_unsent(&self) -> bool {
        self.0.has_unsent()
    }
}

impl Future for Call<'_> {
    type Output = Result<queue::Reply>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some((work, about)) = self.work.take() {
            let place = queue::Place::new(&self.client.0, work, about, cx.waker())?;
            self.place = Some(place);
            return Poll::Pending;
        }
        match &mut self.place {
            Some(place) => place.poll(cx),
            None => Poll::Ready(Err(Error::closed())),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Lane {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        for _ in 0..ROUNDS {
            if self.next.is_empty() {
                let waiting = match self.queue.poll_waiting(cx) {
                    Poll::Ready(waiting) => waiting,
                    Poll::Pending => {
                        self.place.leave();
                        return Poll::Pending;
                    }
                };
                if waiting.is_none() {
                    return Poll::Ready(Ok(()));
                }
            }
            let sending = ready!(self.place.poll(cx));
            let (taken, requests) = self.gather();
            let answers = self.exchange.send(requests);
            drop(sending);
            let answers = match answers {
                Ok(answers) => answers,
                Err(error) => {
                    self.queue.close();
                    return Poll::Ready(Err(error));
                }
            };
            self.settle(taken, answers);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// What goes into the next datagram: steps first, then what waits. It ends before a request about
    /// a flow that a request before it takes steps with.
    fn gather(&mut self) -> (Vec<Taken>, Vec<Request>) {
        self.window.clear();
        let queue = &self.queue;
        // Whoever does not wait any more does not want it sent.
        self.next.retain(|(taken, _)| taken.is_wanted());
        let mut stepping: Vec<Option<Subject>> =
            self.next.iter().map(|(taken, _)| taken.about()).collect();
        let room = self
            .next
            .iter()
            .take_while(|(_, request)| self.window.admits(request.expects_data(), request.len()))
            .count();
        let has_more = room < self.next.len();
        let (mut all, mut requests): (Vec<_>, Vec<_>) = self.next.drain(..room).unzip();
        if has_more {
            return (all, requests);
        }
        let window = &mut self.window;
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
        queue.take(admits, |taken, request| {
            all.push(taken);
            requests.push(request);
        });
        (all, requests)
    }

    /// Gives callers their answers, and keeps what follows on them.
    fn settle(&mut self, taken: Vec<Taken>, answers: Vec<Result<queue::Reply>>) {
        let mut next = Vec::new();
        for (mut taken, answer) in taken.into_iter().zip(answers) {
            let answer = match (&mut taken.steps, answer) {
                (Some(steps), Ok(reply)) => match steps.next(reply) {
                    Step::Send(request) => {
                        next.push((taken, request));
                        continue;
                    }
                    Step::Done(answer) => answer,
                },
                (_, answer) => answer,
            };
            taken.answer(answer);
        }
        // They come before those that have yet to take theirs.
        next.append(&mut self.next);
        self.next = next;
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}
