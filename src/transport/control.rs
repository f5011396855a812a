//! The control lane: one netlink-proto connection, on one task, for all requests that name one
//! object.
//!
//! Requests that wait when the task comes round leave together in one datagram; the kernel acts
//! on them inside our `send`, so that the answers are there when it returns.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use netlink_packet_core::NetlinkPayload;
use netlink_proto::ConnectionHandle;
use netlink_sys::SocketAddr;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::proto::{Connection, ControlSocket, Message, Packet};
use crate::error::{Error, Result};
use crate::wire::message::{Request, Verdict};
use crate::wire::uapi::EPERM;

/// Requests that may be on their way. Each answer takes 832 bytes or more of the receive queue.
const IN_FLIGHT: usize = 128;

/// Requests in one datagram: half of those in flight, so that one half can gather while the other
/// is answered.
const BATCH: usize = 64;

/// Rounds of sending and receiving before other tasks get their turn.
const ROUNDS: usize = 16;

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
    proto: Proto,
    batches: Vec<Batch>,
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
    /// Held until the kernel has answered, also where the caller no longer waits: the bound is
    /// on what the receive queue has to take.
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
        reply.await.unwrap_or_else(|_| Err(Error::closed()))
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        match self.requests.is_closed() {
            true => Err(Error::closed()),
            false => Ok(()),
        }
    }
}

/// The two ends of a lane on a socket of the current thread's namespace.
pub(crate) fn open(receive_buffer: Option<usize>) -> Result<(Lane, Client)> {
    let socket = ControlSocket::open(receive_buffer)?;
    let (sender, requests) = mpsc::channel(IN_FLIGHT);
    let lane = Lane {
        requests,
        waiting: Vec::with_capacity(BATCH),
        proto: Proto::new(socket),
        batches: Vec::new(),
    };
    Ok((
        lane,
        Client {
            requests: sender,
            slots: Arc::new(Semaphore::new(IN_FLIGHT)),
        },
    ))
}

impl Lane {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        for _ in 0..ROUNDS {
            let closed = self.gather(cx);
            let sent = self.send()?;
            if Pin::new(&mut self.proto.connection).poll(cx).is_ready() {
                return Poll::Ready(Err(self.proto.socket.failure()));
            }
            let answered = self.deliver(cx);
            self.settle();
            if self.proto.overran(cx) {
                tracing::warn!("the control connection's receive queue overflowed");
                for slot in self
                    .batches
                    .drain(..)
                    .flat_map(|batch| batch.slots)
                    .flatten()
                {
                    slot.end(Err(Error::overrun()));
                }
                self.proto.stale = true;
            }
            if self.batches.is_empty() {
                self.proto.refresh();
                if closed {
                    return Poll::Ready(Ok(()));
                }
            }
            if !sent && !answered {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes in what waits to be sent. Is no more to come?
    fn gather(&mut self, cx: &mut Context<'_>) -> bool {
        let got = self.requests.poll_recv_many(cx, &mut self.waiting, BATCH);
        matches!(got, Poll::Ready(0))
    }

    /// Hands what waits to netlink-proto, as one datagram. Was there any?
    fn send(&mut self) -> Result<bool> {
        // Whoever does not wait any more does not want it sent.
        self.waiting
            .retain(|submission| !submission.slot.answer.is_closed());
        if self.waiting.is_empty() {
            return Ok(false);
        }
        let (messages, slots): (Vec<Message>, _) = self
            .waiting
            .drain(..)
            .map(|submission| (submission.request.into(), Some(submission.slot)))
            .unzip();
        self.batches.push(self.proto.submit(messages, slots)?);
        Ok(true)
    }

    /// Passes on what netlink-proto has received. Was there any?
    fn deliver(&mut self, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        for batch in &mut self.batches {
            while let Poll::Ready(Some(message)) = batch.replies.as_mut().poll_next(cx) {
                any = true;
                batch.take(message);
            }
        }
        any
    }

    /// Ends the batches that are answered, as far as they will ever be.
    fn settle(&mut self) {
        let drained = self.proto.socket.is_drained();
        for batch in &mut self.batches {
            // A refusal of the whole datagram answers its first message alone.
            let others_open = batch.slots.iter().skip(1).all(Option::is_some);
            if let Some(verdict) = batch.denied.take_if(|_| drained && others_open) {
                let seqs = batch.first..;
                for (seq, slot) in seqs.zip(batch.slots.drain(..)) {
                    if let Some(slot) = slot {
                        self.proto.stale = true;
                        slot.end(Ok(Reply {
                            seq,
                            data: None,
                            verdict: verdict.clone(),
                        }));
                    }
                }
            }
        }
        self.batches
            .retain(|batch| batch.slots.iter().any(Option::is_some));
    }
}

impl Batch {
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

    fn submit(&mut self, messages: Vec<Message>, slots: Vec<Option<Slot>>) -> Result<Batch> {
        let first = self.seq.wrapping_add(1);
        self.seq = self.seq.wrapping_add(slots.len() as u32);
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

    /// Takes up what nobody asked for: late answers, and the news of an overrun.
    fn overran(&mut self, cx: &mut Context<'_>) -> bool {
        let mut overran = false;
        while let Poll::Ready(Some((message, _))) = self.unsolicited.as_mut().poll_next(cx) {
            overran |= matches!(message.payload, NetlinkPayload::Overrun(_));
        }
        overran
    }

    /// Starts netlink-proto anew on the same socket where it would wait for ever for answers, or
    /// its count nears its end: it never forgets a request, and has no care for the overflow.
    /// For when nothing is on its way.
    fn refresh(&mut self) {
        if self.stale || self.seq > u32::MAX / 2 {
            *self = Self::new(self.socket.clone());
        }
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("seq", &self.proto.seq)
            .field("on_their_way", &self.batches.len())
            .finish_non_exhaustive()
    }
}
