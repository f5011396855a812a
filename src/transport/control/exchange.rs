//! An exchange: requests out in one datagram, and their answers.
//!
//! netlink-proto numbers the requests and finds whose each answer is. It is polled by nobody but us,
//! and wakes nobody: when it has sent, all answers are there to be read.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_core::Stream;
use netlink_packet_core::NetlinkPayload;
use netlink_proto::ConnectionHandle;
use netlink_sys::SocketAddr;

use super::proto::{Connection, ControlSocket, Message, Packet};
use crate::error::{Error, Result};
use crate::transport::answers::{Acks, Answer, silence};
use crate::transport::queue::Reply;
use crate::transport::socket::Socket;
use crate::wire::message::{Request, Verdict};
use crate::wire::uapi::EMSGSIZE;

type Replies = Pin<Box<dyn Stream<Item = Message> + Send>>;

/// A netlink-proto connection, and what it counts.
pub(super) struct Exchange {
    socket: ControlSocket,
    connection: Connection,
    handle: ConnectionHandle<Packet>,
    unsolicited: Pin<Box<dyn Stream<Item = (Message, SocketAddr)> + Send>>,
    /// The sequence number of the last request: netlink-proto counts messages from 1.
    seq: u32,
    /// Does it wait for answers that will never come?
    is_stale: bool,
}

/// The answers to the requests of a datagram, as they come.
struct Answers {
    /// The number of the first; the others follow.
    first: u32,
    data: Vec<Option<Bytes>>,
    verdicts: Vec<Option<Verdict>>,
}

impl Exchange {
    pub(super) fn over(socket: Socket) -> Self {
        Self::new(ControlSocket::over(socket))
    }

    fn new(socket: ControlSocket) -> Self {
        let (connection, handle, unsolicited) =
            netlink_proto::from_socket_with_codec(socket.clone());
        Self {
            socket,
            connection,
            handle,
            unsolicited: Box::pin(unsolicited),
            seq: 0,
            is_stale: false,
        }
    }

    /// Sends requests as one datagram, and takes up all answers. An error is the socket's.
    pub(super) fn send(&mut self, requests: Vec<Request>) -> Result<Vec<Result<Reply>>> {
        let count = requests.len();
        // netlink-proto never forgets a request that stays without an answer, and counts without a
        // care for the overflow: then it starts anew, on the same socket.
        if self.is_stale || self.seq > u32::MAX / 2 {
            *self = Self::new(self.socket.clone());
        }
        let mut cx = Context::from_waker(Waker::noop());
        let mut answers = Answers::new(self.seq + 1, count);
        self.seq += count as u32;
        let messages: Vec<Message> = requests.into_iter().map(Message::from).collect();
        let mut replies: Replies = self
            .handle
            .request_batch(messages, SocketAddr::new(0, 0))
            .map(|replies| Box::pin(replies) as Replies)
            .map_err(|_| Error::closed())?;
        // It reads before it sends: the answers are for the second poll.
        self.poll(&mut cx)?;
        self.poll(&mut cx)?;
        answers.take_all(&mut replies, &mut cx);
        if !answers.are_complete() {
            // What was counted for an answer was something else: to be read to its end.
            self.socket.expect_more();
            self.poll(&mut cx)?;
            answers.take_all(&mut replies, &mut cx);
        }
        let mut overran = false;
        while let Poll::Ready(Some((message, _))) = self.unsolicited.as_mut().poll_next(&mut cx) {
            overran |= matches!(message.payload, NetlinkPayload::Overrun(_));
        }
        self.is_stale = !answers.are_complete();
        if overran {
            tracing::warn!("the control connection's receive queue overflowed");
        }
        match self.socket.take_unsent() {
            Some((EMSGSIZE, datagram)) if count > 1 => self.send_by_halves(&datagram),
            Some((errno, _)) => Ok(answers.end(|| Error::unsent(errno))),
            None => Ok(answers.judge(overran)),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Result<()> {
        match Pin::new(&mut self.connection).poll(cx) {
            Poll::Ready(()) => Err(self.socket.failure()),
            Poll::Pending => Ok(()),
        }
    }

    /// Sends the requests of a datagram that the kernel found too large.
    fn send_by_halves(&mut self, datagram: &[u8]) -> Result<Vec<Result<Reply>>> {
        let mut first = Request::all(datagram);
        let second = first.split_off(first.len() / 2);
        let mut answers = self.send(first)?;
        answers.extend(self.send(second)?);
        Ok(answers)
    }
}

impl Answers {
    fn new(first: u32, count: usize) -> Self {
        Self {
            first,
            data: vec![None; count],
            verdicts: vec![None; count],
        }
    }

    fn are_complete(&self) -> bool {
        self.verdicts.iter().all(Option::is_some)
    }

    fn take_all(&mut self, replies: &mut Replies, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(message)) = replies.as_mut().poll_next(cx) {
            self.take(message);
        }
    }

    fn take(&mut self, message: Message) {
        let index = message.header.sequence_number.wrapping_sub(self.first) as usize;
        match message.payload {
            NetlinkPayload::InnerMessage(Packet::Data(data)) => {
                if let Some(place) = self.data.get_mut(index) {
                    *place = Some(data);
                }
            }
            NetlinkPayload::InnerMessage(Packet::Verdict(verdict)) => {
                if let Some(place) = self.verdicts.get_mut(index) {
                    place.get_or_insert(verdict);
                }
            }
            _ => {}
        }
    }

    /// What the silence about some means.
    fn judge(self, overran: bool) -> Vec<Result<Reply>> {
        let first = self.verdicts.first().and_then(Option::as_ref);
        let last = self.verdicts.last().is_some_and(Option::is_some);
        let is_complete = last && self.verdicts.len() > 1;
        match silence(Acks::All, first, is_complete, overran) {
            // Nothing says that it was lost: the kernel did not answer.
            Answer::Lost if !overran => self.end(Error::unanswered),
            Answer::Refused(verdict) => self.refuse(verdict),
            silence => self.end(|| match silence.clone().into_result() {
                Err(error) => error,
                Ok(()) => Error::unanswered(),
            }),
        }
    }

    /// Gives every request that has no answer this verdict.
    fn refuse(mut self, verdict: Verdict) -> Vec<Result<Reply>> {
        for place in &mut self.verdicts {
            place.get_or_insert_with(|| verdict.clone());
        }
        self.end(Error::unanswered)
    }

    /// Gives every request that has no answer this error.
    fn end(self, error: impl Fn() -> Error) -> Vec<Result<Reply>> {
        let answers = (self.first..).zip(self.verdicts).zip(self.data);
        let answers = answers.map(|((seq, verdict), data)| {
            let verdict = verdict.ok_or_else(&error)?;
            Ok(Reply { seq, data, verdict })
        });
        answers.collect()
    }
}
