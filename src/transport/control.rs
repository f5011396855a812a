//! The control lane: one netlink-proto connection, on one task, for all requests that name one
//! object.
//!
//! Requests that wait when the task comes round leave together in one datagram; the kernel acts
//! on them inside our `send`, so that the answers are there when it returns.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use netlink_packet_core::NetlinkPayload;
use netlink_proto::ConnectionHandle;
use netlink_sys::SocketAddr;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::proto::{Connection, ControlSocket, Message, Packet};
use super::socket::Socket;
use super::turn::{Place, Turn};
use crate::error::{Error, Result};
use crate::wire::message::{Request, Verdict};
use crate::wire::uapi::EPERM;

/// Requests that may be on their way, in the queue to the task and beyond: what bounds its memory.
const IN_FLIGHT: usize = 128;

/// Requests in one datagram: half of those in flight, so that one half gathers while the other is
/// answered. Each answer takes 832 bytes or more of the receive queue, of 212 992 by default.
const BATCH: usize = 64;

/// Datagrams in a row before other tasks get their turn: at 311 000 marks a second, 0.8 ms.
const ROUNDS: usize = 4;

/// The handle's end of the lane.
#[derive(Debug)]
pub(crate) struct Client {
    requests: mpsc::Sender<Submission>,
    slots: Arc<Semaphore>,
}

/// The kernel's answer to a request.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The sequence number that the request had.
    pub(crate) seq: u32,
    /// The message that came before the verdict, if any.
    pub(crate) data: Option<Bytes>,
    pub(crate) verdict: Verdict,
}

/// The task's end of the lane: completes when the last [`Client`] is gone and all is answered.
pub(crate) struct Lane {
    requests: mpsc::Receiver<Submission>,
    waiting: Vec<Submission>,
    place: Place,
    proto: Proto,
}

#[derive(Debug)]
struct Submission {
    request: Request,
    slot: Slot,
}

/// Who waits for an answer.
#[derive(Debug)]
struct Slot {
    answer: oneshot::Sender<Result<Reply>>,
    data: Option<Bytes>,
    /// Held until the kernel has answered, also where the caller no longer waits.
    _permit: OwnedSemaphorePermit,
}

/// The requests of one datagram.
struct Batch {
    replies: Pin<Box<dyn Stream<Item = Message> + Send>>,
    /// The sequence number of the first; the others follow.
    first: u32,
    slots: Vec<Option<Slot>>,
    /// The kernel's refusal of the first: perhaps of all, for a sender without the right gets no
    /// further answers.
    denied: Option<Verdict>,
}

/// A netlink-proto connection, and what it counts.
struct Proto {
    socket: ControlSocket,
    connection: Connection,
    handle: ConnectionHandle<Packet>,
    unsolicited: Pin<Box<dyn Stream<Item = (Message, SocketAddr)> + Send>>,
    /// The sequence number of the last request: netlink-proto counts messages from 1.
    seq: u32,
    /// Does it wait for answers that will never come?
    stale: bool,
}

impl Client {
    fn new() -> (Self, mpsc::Receiver<Submission>) {
        let (sender, requests) = mpsc::channel(IN_FLIGHT);
        let slots = Arc::new(Semaphore::new(IN_FLIGHT));
        let client = Self {
            requests: sender,
            slots,
        };
        (client, requests)
    }

    /// One whose task never comes round.
    #[cfg(test)]
    pub(crate) fn of_nobody() -> Self {
        let (client, requests) = Self::new();
        std::mem::forget(requests);
        client
    }

    /// Sends a request and waits for the kernel's verdict.
    pub(crate) async fn call(&self, request: Request) -> Result<Reply> {
        let permit = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|_| Error::closed())?;
        let (answer, reply) = oneshot::channel();
        let slot = Slot {
            answer,
            data: None,
            _permit: permit,
        };
        // There is room for as many as there are permits: this never waits.
        self.requests
            .try_send(Submission { request, slot })
            .map_err(|_| Error::closed())?;
        // A receiver that is dropped at this moment may have missed the request; one that is
        // dropped later has not.
        self.check_open()?;
        reply.await.unwrap_or_else(|_| Err(Error::closed()))
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        match self.requests.is_closed() {
            true => Err(Error::closed()),
            false => Ok(()),
        }
    }
}

/// The two ends of a lane on this socket.
pub(crate) fn open(socket: Socket) -> (Lane, Client) {
    let (client, requests) = Client::new();
    let lane = Lane {
        requests,
        waiting: Vec::with_capacity(BATCH),
        proto: Proto::new(ControlSocket::over(socket)),
        place: Place::default(),
    };
    (lane, client)
}

impl Lane {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        for _ in 0..ROUNDS {
            let closed = self.gather(cx);
            if self.waiting.is_empty() {
                self.place = Place::default();
                return if closed {
                    Poll::Ready(Ok(()))
                } else {
                    Poll::Pending
                };
            }
            let turn = ready!(self.place.poll(cx));
            if let Err(error) = self.exchange(turn, cx) {
                // Whoever waits, and whoever comes, is to know at once.
                self.requests.close();
                while self.requests.try_recv().is_ok() {}
                return Poll::Ready(Err(error));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes in what waits to be sent. Is no more to come?
    fn gather(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            // Whoever does not wait any more does not want it sent.
            self.waiting
                .retain(|submission| !submission.slot.answer.is_closed());
            let room = BATCH - self.waiting.len();
            if room == 0 {
                return false;
            }
            match self.requests.poll_recv_many(cx, &mut self.waiting, room) {
                Poll::Ready(0) => return true,
                Poll::Ready(_) => {}
                Poll::Pending => return false,
            }
        }
    }

    /// Sends what waits as one datagram, and takes up all answers: they are there when the send
    /// returns, and what is not there then will never come.
    fn exchange(&mut self, turn: Turn, cx: &mut Context<'_>) -> Result<()> {
        let mut batch = self.proto.submit(self.waiting.drain(..))?;
        // netlink-proto reads before it sends: the answers are for the second poll.
        self.proto.poll(cx)?;
        drop(turn);
        self.proto.poll(cx)?;
        batch.take_up(cx);
        let overran = self.proto.overran(cx);
        if batch.is_answered() {
            return Ok(());
        }
        self.proto.stale = true;
        if overran {
            tracing::warn!("the control connection's receive queue overflowed");
            batch.end(|_| Err(Error::overrun()));
        } else if let Some(errno) = self.proto.socket.take_unsent() {
            batch.end(|_| Err(Error::unsent(errno)));
        } else if let Some(verdict) = batch.denied.take() {
            batch.end(|seq| {
                Ok(Reply {
                    seq,
                    data: None,
                    verdict: verdict.clone(),
                })
            });
        } else {
            batch.end(|_| Err(Error::unanswered()));
        }
        Ok(())
    }
}

impl Batch {
    /// Passes on what netlink-proto has received.
    fn take_up(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(message)) = self.replies.as_mut().poll_next(cx) {
            self.take(message);
        }
    }

    fn is_answered(&self) -> bool {
        self.slots.iter().all(Option::is_none)
    }

    fn take(&mut self, message: Message) {
        let seq = message.header.sequence_number;
        let index = seq.wrapping_sub(self.first) as usize;
        let Some(place) = self.slots.get_mut(index) else {
            return;
        };
        match message.payload {
            NetlinkPayload::InnerMessage(Packet::Data(data)) => {
                if let Some(slot) = place {
                    slot.data = Some(data);
                }
            }
            NetlinkPayload::InnerMessage(Packet::Verdict(verdict)) => {
                if let Some(mut slot) = place.take() {
                    if index == 0 && verdict.errno == EPERM {
                        self.denied = Some(verdict.clone());
                    }
                    let data = slot.data.take();
                    slot.end(Ok(Reply { seq, data, verdict }));
                }
            }
            _ => {}
        }
    }

    /// Gives every request that has no answer this one.
    fn end(&mut self, mut result: impl FnMut(u32) -> Result<Reply>) {
        for (place, seq) in self.slots.iter_mut().zip(self.first..) {
            if let Some(slot) = place.take() {
                slot.end(result(seq));
            }
        }
    }
}

impl Slot {
    fn end(self, result: Result<Reply>) {
        // Whoever does not wait any more needs no answer.
        let _ = self.answer.send(result);
    }
}

impl Proto {
    fn new(socket: ControlSocket) -> Self {
        let (connection, handle, unsolicited) =
            netlink_proto::from_socket_with_codec(socket.clone());
        let unsolicited = Box::pin(unsolicited);
        Self {
            socket,
            connection,
            handle,
            unsolicited,
            seq: 0,
            stale: false,
        }
    }

    /// Hands requests to netlink-proto, as one datagram.
    fn submit(&mut self, submissions: impl Iterator<Item = Submission>) -> Result<Batch> {
        // It never forgets a request that stays without an answer, and counts without a care for
        // the overflow: then it starts anew, on the same socket.
        if self.stale || self.seq > u32::MAX / 2 {
            *self = Self::new(self.socket.clone());
        }
        let (messages, slots): (Vec<Message>, Vec<_>) = submissions
            .map(|submission| (submission.request.into(), Some(submission.slot)))
            .unzip();
        let first = self.seq + 1;
        self.seq += slots.len() as u32;
        let replies = self
            .handle
            .request_batch(messages, SocketAddr::new(0, 0))
            .map_err(|_| Error::closed())?;
        Ok(Batch {
            replies: Box::pin(replies),
            first,
            slots,
            denied: None,
        })
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Result<()> {
        match Pin::new(&mut self.connection).poll(cx) {
            Poll::Ready(()) => Err(self.socket.failure()),
            Poll::Pending => Ok(()),
        }
    }

    /// Takes up what nobody asked for: late answers, and the news of an overrun.
    fn overran(&mut self, cx: &mut Context<'_>) -> bool {
        let mut overran = false;
        while let Poll::Ready(Some((message, _))) = self.unsolicited.as_mut().poll_next(cx) {
            overran |= matches!(message.payload, NetlinkPayload::Overrun(_));
        }
        overran
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("seq", &self.proto.seq)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::wire::uapi::{AF_INET, IPCTNL_MSG_CT_GET};

    #[test]
    fn no_more_are_on_their_way_than_that() {
        let (client, requests) = Client::new();
        let mut cx = Context::from_waker(Waker::noop());
        let mut calls: Vec<_> = (0..1000)
            .map(|_| Box::pin(client.call(Request::new(IPCTNL_MSG_CT_GET, 0, AF_INET))))
            .collect();
        for call in &mut calls {
            assert!(call.as_mut().poll(&mut cx).is_pending());
        }
        assert_eq!(requests.len(), IN_FLIGHT);
        assert_eq!(client.slots.available_permits(), 0);
    }
}
