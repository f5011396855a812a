//! An exchange: requests in one datagram, and their answers.
//!
//! netlink-proto numbers the exchanges, and finds the exchange of each answer. Only this code polls
//! it, and it never needs to wake us: when it has sent, all answers are ready to be read.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
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
use crate::transport::throttle::{Throttle, Told};
use crate::wire::message::{Frame, Request, Verdict};
use crate::wire::uapi::{EMSGSIZE, ENOBUFS};

/// A netlink-proto connection and its counters.
pub(super) struct Exchange {
    socket: ControlSocket,
    connection: Connection,
    handle: ConnectionHandle<Packet>,
    unsolicited: Pin<Box<dyn Stream<Item = (Message, SocketAddr)> + Send>>,
    /// The number of the last exchange. netlink-proto counts from 1.
    number: u32,
    /// Does netlink-proto wait for answers that will never come?
    is_stale: bool,
    overruns: Overruns,
    /// The answers to the current datagram.
    answers: Answers,
    /// For single requests: the number of the last one, and the buffer for its answer.
    alone: u32,
    received: BytesMut,
}

/// Overflows of the receive queue that were not logged yet.
#[derive(Default)]
struct Overruns(Throttle);

impl Overruns {
    fn warn(told: Option<Told>) {
        if let Some(Told { times, .. }) = told {
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

/// The usual size in bytes of many requests.
const MANY: usize = 8192;

/// Requests that are sent together.
#[derive(Default)]
pub(super) struct Requests {
    bytes: Vec<u8>,
    count: usize,
}

/// The answers to the requests of a datagram, as they arrive.
#[derive(Default)]
struct Answers {
    exchange: u32,
    parts: Vec<Part>,
}

/// The kernel's answer to a request.
#[derive(Default)]
struct Part {
    expects_data: bool,
    data: Option<Bytes>,
    verdict: Option<Verdict>,
}

impl Requests {
    pub(super) fn push(&mut self, request: Request) {
        if self.count == 1 {
            self.bytes.reserve(MANY);
        }
        request.append_to(&mut self.bytes);
        self.count += 1;
    }

    /// Splits the requests into two halves.
    fn halves(self) -> [Self; 2] {
        let first = self.count / 2;
        let lens = Frame::all(&self.bytes).map(|frame| frame.bytes.len());
        let len = lens.take(first).sum();
        let mut bytes = self.bytes;
        let second = bytes.split_off(len);
        [(bytes, first), (second, self.count - first)].map(|(bytes, count)| Self { bytes, count })
    }
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
            answers: Answers::default(),
            alone: 0,
            received: BytesMut::new(),
        }
    }

    /// Sends requests as one datagram, and passes all answers to `give`, in order. It fails only if
    /// the socket fails.
    pub(super) fn send(
        &mut self,
        requests: Requests,
        give: &mut dyn FnMut(Result<Reply>),
    ) -> Result<()> {
        // netlink-proto never forgets a request without an answer. In that case we create a new
        // connection on the same socket.
        if self.is_stale || self.number == Number::EXCHANGES {
            let overruns = std::mem::take(&mut self.overruns);
            *self = Self {
                overruns,
                alone: self.alone,
                ..Self::new(self.socket.clone())
            };
        }
        let mut cx = Context::from_waker(Waker::noop());
        self.number += 1;
        self.answers.begin(self.number, &requests.bytes);
        let replies = self
            .handle
            .request(Packet::out(requests.bytes), SocketAddr::new(0, 0))
            .map_err(|_| Error::closed())?;
        let mut replies = pin!(replies);
        self.connection.poll_requests(&mut cx);
        self.connection.poll_send_messages(&mut cx);
        self.receive(&mut cx)?;
        self.answers.take_all(replies.as_mut(), &mut cx);
        self.is_stale = !self.answers.are_complete();
        // Messages that answer no request are rare, and are removed before they pile up.
        if self.is_stale || self.number % 64 == 0 {
            self.drain(&mut cx);
        }
        self.give(give)
    }

    /// [`send`](Self::send) for a single request while no other is in flight. Then no answer has to
    /// be matched to its exchange, which is the job of netlink-proto. Its map and its channels
    /// would take as long as the kernel does.
    pub(super) fn send_alone(
        &mut self,
        request: Request,
        give: &mut dyn FnMut(Result<Reply>),
    ) -> Result<()> {
        self.alone = self.alone % Number::EXCHANGES + 1;
        let exchange = Number::EXCHANGES + self.alone;
        let request = request.finish(Number::new(exchange, 0, 1).seq());
        self.answers.begin(exchange, &request);
        self.socket.send(&request);
        self.received.clear();
        while let Poll::Ready(received) = self.socket.receive(&mut self.received) {
            match received {
                Err(cause) if cause.raw_os_error() != Some(ENOBUFS) => {
                    return Err(self.socket.failure());
                }
                _ => {}
            }
            for frame in Frame::all(&self.received) {
                self.answers.take(&frame, Bytes::copy_from_slice);
            }
            self.received.clear();
        }
        self.give(give)
    }

    /// Passes on the answers, in the order of the requests.
    fn give(&mut self, give: &mut dyn FnMut(Result<Reply>)) -> Result<()> {
        let count = self.answers.parts.len();
        let overran = self.socket.take_overrun();
        if overran {
            Overruns::warn(self.overruns.0.add(1, Instant::now()));
        }
        match self.socket.take_unsent() {
            Some((EMSGSIZE, datagram)) if count > 1 => {
                let [first, second] = Requests {
                    bytes: datagram,
                    count,
                }
                .halves();
                self.send(first, give)?;
                self.send(second, give)
            }
            Some((errno, _)) => {
                self.answers.end(|_| Err(Error::unsent(errno)), give);
                Ok(())
            }
            None => {
                self.answers.judge(overran, give);
                Ok(())
            }
        }
    }

    /// The part of netlink-proto's poll that comes after sending.
    fn receive(&mut self, cx: &mut Context<'_>) -> Result<()> {
        self.connection.poll_read_messages(cx);
        self.connection.forward_unsolicited_messages();
        self.connection.forward_responses();
        match self.connection.should_shut_down() {
            true => Err(self.socket.failure()),
            false => Ok(()),
        }
    }

    /// Removes the messages that answer no request.
    fn drain(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(_)) = self.unsolicited.as_mut().poll_next(cx) {}
    }
}

impl Answers {
    /// Prepares for the answers to these requests.
    fn begin(&mut self, exchange: u32, requests: &[u8]) {
        self.exchange = exchange;
        self.parts.clear();
        self.parts.extend(Frame::all(requests).map(|request| Part {
            expects_data: request.expects_data(),
            ..Part::default()
        }));
    }

    /// Has the verdict on the last request arrived? It comes after all others.
    fn are_complete(&self) -> bool {
        self.parts.last().is_none_or(|last| last.verdict.is_some())
    }

    fn take_all(
        &mut self,
        mut replies: Pin<&mut impl Stream<Item = Message>>,
        cx: &mut Context<'_>,
    ) {
        while let Poll::Ready(Some(message)) = replies.as_mut().poll_next(cx) {
            if let NetlinkPayload::InnerMessage(Packet::In(messages)) = message.payload {
                for frame in Frame::all(&messages) {
                    self.take(&frame, |bytes| messages.slice_ref(bytes));
                }
            }
            if self.are_complete() {
                return;
            }
        }
    }

    fn take(&mut self, frame: &Frame<'_>, data: impl FnOnce(&[u8]) -> Bytes) {
        let number = Number::of(frame.seq);
        let part = match self.parts.get_mut(number.index) {
            Some(part) if number.exchange == self.exchange => part,
            _ => return,
        };
        match frame.verdict() {
            Some(verdict) if part.verdict.is_none() => part.verdict = Some(verdict),
            None if !frame.is_control() => part.data = Some(data(frame.bytes)),
            _ => {}
        }
    }

    /// Passes on the answers, including those of requests without a verdict.
    fn judge(&mut self, overran: bool, give: &mut dyn FnMut(Result<Reply>)) {
        let is_complete = self.are_complete();
        let first = self.parts.first().and_then(|first| first.verdict.clone());
        let silence = |part: &Part| {
            // A request that asks for data also asks for an ACK.
            let acks = match part.expects_data {
                true => Acks::All,
                false => Acks::Last,
            };
            match silence(acks, first.as_ref(), is_complete, overran) {
                Answer::Refused(verdict) => Ok(verdict),
                silence => silence.into_result().map(|()| Verdict::of(0)),
            }
        };
        self.end(silence, give);
    }

    /// Passes on the answers; `silence` says what a missing verdict means.
    fn end(
        &mut self,
        silence: impl Fn(&Part) -> Result<Verdict>,
        give: &mut dyn FnMut(Result<Reply>),
    ) {
        let count = self.parts.len();
        for (index, mut part) in self.parts.drain(..).enumerate() {
            let verdict = part.verdict.take().map_or_else(|| silence(&part), Ok);
            give(verdict.map(|verdict| Reply {
                seq: Number::new(self.exchange, index, count).seq(),
                data: part.data,
                verdict,
            }));
        }
    }
}
