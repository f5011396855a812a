//! An exchange: requests out in one datagram, and their answers.
//!
//! netlink-proto numbers exchanges and finds which of them each answer is for. It is driven by nobody
//! but us, and wakes nobody: when it has sent, all answers are there to be read.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use futures_core::Stream;
use netlink_packet_core::NetlinkPayload;
use netlink_proto::ConnectionHandle;
use netlink_sys::SocketAddr;

use super::proto::{Connection, Message, Number, Packet};
use super::socket::ControlSocket;
use crate::error::{Error, Result};
use crate::transport::answers::{Acks, Answer, silence};
use crate::transport::queue::Reply;
use crate::transport::socket::Socket;
use crate::transport::throttle::Throttle;
use crate::wire::message::{Frame, Request, Verdict};
use crate::wire::uapi::EMSGSIZE;

/// A netlink-proto connection, and what it counts.
pub(super) struct Exchange {
    socket: ControlSocket,
    connection: Connection,
    handle: ConnectionHandle<Packet>,
    unsolicited: Pin<Box<dyn Stream<Item = (Message, SocketAddr)> + Send>>,
    /// The number of the last exchange: netlink-proto counts them from 1.
    number: u32,
    /// Does it wait for answers that will never come?
    is_stale: bool,
    overruns: Overruns,
}

/// How often the receive queue overflowed, beyond what was told.
#[derive(Default)]
struct Overruns(Throttle);

impl Overruns {
    fn warn(times: Option<u64>) {
        if let Some(times) = times {
            tracing::warn!(
                target: "ctnetlink",
                times,
                "the control connection's receive queue overflowed"
            );
        }
    }
}

impl Drop for Overruns {
    fn drop(&mut self) {
        Self::warn(self.0.rest());
    }
}

/// The answers to the requests of a datagram, as they come.
struct Answers {
    exchange: u32,
    parts: Vec<Part>,
    /// Requests that have a verdict.
    verdicts: usize,
}

/// What the kernel said of a request.
#[derive(Default)]
struct Part {
    data: Option<Bytes>,
    verdict: Option<Verdict>,
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
            number: 0,
            is_stale: false,
            overruns: Overruns::default(),
        }
    }

    /// Sends requests as one datagram, and takes up all answers. An error is the socket's.
    pub(super) fn send(&mut self, requests: Vec<Request>) -> Result<Vec<Result<Reply>>> {
        let count = requests.len();
        // netlink-proto never forgets what stays without an answer: then it starts anew, on the same
        // socket.
        if self.is_stale || self.number == Number::EXCHANGES {
            let overruns = std::mem::take(&mut self.overruns);
            *self = Self {
                overruns,
                ..Self::new(self.socket.clone())
            };
        }
        let mut cx = Context::from_waker(Waker::noop());
        self.number += 1;
        let mut answers = Answers::new(self.number, count);
        let replies = self
            .handle
            .request(Packet::out(requests), SocketAddr::new(0, 0))
            .map_err(|_| Error::closed())?;
        let mut replies = pin!(replies);
        self.connection.poll_requests(&mut cx);
        self.connection.poll_send_messages(&mut cx);
        self.receive(&mut cx)?;
        answers.take_all(replies.as_mut(), &mut cx);
        if !answers.are_complete() {
            // What was counted for an answer was something else: to be read to its end.
            self.socket.expect_more();
            self.receive(&mut cx)?;
            answers.take_all(replies.as_mut(), &mut cx);
        }
        self.is_stale = !answers.are_complete();
        // What answers nothing is seldom, and does not pile up.
        let is_time = self.number % 64 == 0;
        let overran = (self.is_stale || is_time) && self.has_overrun(&mut cx);
        match self.socket.take_unsent() {
            Some((EMSGSIZE, datagram)) if count > 1 => self.send_by_halves(&datagram),
            Some((errno, _)) => Ok(answers.end(|| Error::unsent(errno))),
            None => Ok(answers.judge(overran)),
        }
    }

    /// What netlink-proto does when it is polled, after it has sent.
    fn receive(&mut self, cx: &mut Context<'_>) -> Result<()> {
        self.connection.poll_read_messages(cx);
        self.connection.forward_unsolicited_messages();
        self.connection.forward_responses();
        match self.connection.should_shut_down() {
            true => Err(self.socket.failure()),
            false => Ok(()),
        }
    }

    /// Was an answer lost for want of room?
    fn has_overrun(&mut self, cx: &mut Context<'_>) -> bool {
        let mut overran = false;
        while let Poll::Ready(Some((message, _))) = self.unsolicited.as_mut().poll_next(cx) {
            overran |= matches!(message.payload, NetlinkPayload::Overrun(_));
        }
        if overran {
            let times = self.overruns.0.add(1, Instant::now());
            Overruns::warn(times);
        }
        overran
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
    fn new(exchange: u32, count: usize) -> Self {
        let mut parts = Vec::with_capacity(count);
        parts.resize_with(count, Part::default);
        Self {
            exchange,
            parts,
            verdicts: 0,
        }
    }

    fn are_complete(&self) -> bool {
        self.verdicts == self.parts.len()
    }

    fn take_all(
        &mut self,
        mut replies: Pin<&mut impl Stream<Item = Message>>,
        cx: &mut Context<'_>,
    ) {
        while let Poll::Ready(Some(message)) = replies.as_mut().poll_next(cx) {
            if let NetlinkPayload::InnerMessage(Packet::In(messages)) = message.payload {
                Frame::all(&messages).for_each(|frame| self.take(&messages, &frame));
            }
        }
    }

    fn take(&mut self, messages: &Bytes, frame: &Frame<'_>) {
        let number = Number::of(frame.seq);
        let part = match self.parts.get_mut(number.index) {
            Some(part) if number.exchange == self.exchange => part,
            _ => return,
        };
        match frame.verdict() {
            Some(verdict) if part.verdict.is_none() => {
                part.verdict = Some(verdict);
                self.verdicts += 1;
            }
            None if !frame.is_control() => part.data = Some(messages.slice_ref(frame.bytes)),
            _ => {}
        }
    }

    /// What the silence about some means.
    fn judge(self, overran: bool) -> Vec<Result<Reply>> {
        if self.are_complete() {
            return self.end(Error::unanswered);
        }
        let verdict = |part: &Part| part.verdict.clone();
        let first = self.parts.first().and_then(verdict);
        let last = self.parts.last().and_then(verdict).is_some();
        let is_complete = last && self.parts.len() > 1;
        match silence(Acks::All, first.as_ref(), is_complete, overran) {
            Answer::Refused(verdict) => self.refuse(&verdict),
            silence => self.end(|| match silence.clone().into_result() {
                Err(error) => error,
                Ok(()) => Error::unanswered(),
            }),
        }
    }

    /// Gives every request that has no answer this verdict.
    fn refuse(mut self, verdict: &Verdict) -> Vec<Result<Reply>> {
        for part in &mut self.parts {
            part.verdict.get_or_insert_with(|| verdict.clone());
        }
        self.end(Error::unanswered)
    }

    /// Gives every request that has no answer this error.
    fn end(self, error: impl Fn() -> Error) -> Vec<Result<Reply>> {
        let count = self.parts.len();
        let parts = self.parts.into_iter().enumerate();
        let answers = parts.map(|(index, Part { data, verdict })| {
            let verdict = verdict.ok_or_else(&error)?;
            let seq = Number::new(self.exchange, index, count).seq();
            Ok(Reply { seq, data, verdict })
        });
        answers.collect()
    }
}
