//! The control lane: one socket and one task for all requests that name one object.
//!
//! When the task runs, all waiting requests are sent together in one datagram. The kernel carries
//! them out inside our `send`, so the answers are there when it returns. For the same reason,
//! requests that come one at a time do not need the task: see [`sender`].

mod exchange;
mod proto;
mod sender;
mod socket;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::queue::{self, Queue, Subject, Work};
use super::socket::Socket;
use super::turn;
use crate::error::{Error, Result};
use sender::{Sender, Shared};

/// Datagrams in a row before other tasks get their turn: at 500 000 marks a second, 0.5 ms.
const ROUNDS: usize = 4;

/// The handle's end of the lane.
pub(crate) struct Client {
    queue: Arc<Queue>,
    sender: Arc<Shared>,
}

/// A request of a [`Client`].
pub(crate) struct Call<'a> {
    client: &'a Client,
    /// Until the first poll.
    work: Option<(Work, Option<Subject>)>,
    place: Option<queue::Place>,
}

/// The task's end of the lane. It completes when the last [`Client`] is dropped and every request
/// is answered.
pub(crate) struct Lane {
    queue: Arc<Queue>,
    sender: Arc<Shared>,
    place: turn::Place,
}

/// Opens a lane on this socket, and returns its two ends.
pub(crate) fn open(socket: Socket) -> Result<(Lane, Client)> {
    let queue = Arc::new(Queue::default());
    let sender = Arc::new(Shared::new(Sender::over(socket)?));
    let lane = Lane {
        queue: Arc::clone(&queue),
        sender: Arc::clone(&sender),
        place: turn::Place::new(),
    };
    Ok((lane, Client { queue, sender }))
}

impl Client {
    /// Sends a request and waits for the kernel's verdict. Requests about the same flow are sent in
    /// the order of their first polls, and never between the steps of another such request.
    pub(crate) fn call(&self, work: Work, about: Option<Subject>) -> Call<'_> {
        Call {
            client: self,
            work: Some((work, about)),
            place: None,
        }
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        self.queue.check_open()
    }

    /// Will every caller that waits now for a request without steps be woken before this time has
    /// passed?
    pub(crate) fn is_watched(&self, timeout: Duration) -> bool {
        self.queue.is_watched(timeout)
    }

    /// Do requests wait to be sent? If nothing blocks the lane, this means that it is not polled.
    pub(crate) fn has_unsent(&self) -> bool {
        self.queue.has_unsent()
    }
}

impl Future for Call<'_> {
    type Output = Result<queue::Reply>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some((work, about)) = self.work.take() {
            let Client { queue, sender } = self.client;
            let work = match sender.send_alone(queue, work) {
                Ok(answer) => return Poll::Ready(answer),
                Err(work) => work,
            };
            let place = queue::Place::new(queue, work, about, cx.waker())?;
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
        self.queue.abandon();
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.queue.close();
        // This closes the socket.
        self.sender.close();
    }
}

impl Lane {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        for _ in 0..ROUNDS {
            let mut sender = ready!(self.sender.poll_lock(&self.queue, cx));
            let Some(sender) = &mut *sender else {
                return Poll::Ready(Err(Error::closed()));
            };
            if let Some(error) = sender.take_failure() {
                return Poll::Ready(Err(error));
            }
            if !sender.has_steps() {
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
            sender.send(&self.queue, sending)?;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
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
