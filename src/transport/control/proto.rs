//! What makes netlink-proto carry our messages: a packet of bytes, a codec that cannot fail, and a
//! socket that reads the answers where they already are.

use std::convert::Infallible;
use std::fmt::Debug;
use std::io;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use netlink_packet_core::{
    NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_proto::NetlinkMessageCodec;
use netlink_sys::{AsyncSocket, Socket as RawSocket, SocketAddr};

use crate::error::Error;
use crate::transport::socket::Socket;
use crate::wire::attr::align4;
use crate::wire::message::{Frame, Request, Verdict};
use crate::wire::uapi::*;

pub(super) type Message = NetlinkMessage<Packet>;
pub(super) type Connection = netlink_proto::Connection<Packet, ControlSocket, Codec>;

/// What netlink-proto carries: bytes, and the verdicts read out of them.
#[derive(Debug)]
pub(super) enum Packet {
    Out(Request),
    Data(Bytes),
    Verdict(Verdict),
}

impl From<Request> for Message {
    fn from(request: Request) -> Self {
        let mut header = NetlinkHeader::default();
        // Without the ACK flag netlink-proto takes the first message that is not MULTI for the
        // last: the codec sees to it that this is the verdict.
        header.flags = request.flags() & !NLM_F_ACK;
        Self::new(header, NetlinkPayload::InnerMessage(Packet::Out(request)))
    }
}

impl NetlinkSerializable for Packet {
    fn message_type(&self) -> u16 {
        match self {
            Self::Out(request) => request.kind(),
            _ => NLMSG_NOOP,
        }
    }

    fn buffer_len(&self) -> usize {
        match self {
            Self::Out(request) => request.body().len(),
            _ => 0,
        }
    }

    fn serialize(&self, buffer: &mut [u8]) {
        if let Self::Out(request) = self {
            buffer.copy_from_slice(request.body());
        }
    }
}

impl NetlinkDeserializable for Packet {
    type Error = Infallible;

    /// `message` is the whole message, as [`Codec`] hands it over.
    fn deserialize(_: &NetlinkHeader, message: &[u8]) -> Result<Self, Infallible> {
        let verdict = match Frame::first(message) {
            Some(Ok(frame)) => frame.verdict(),
            _ => None,
        };
        Ok(match verdict {
            Some(verdict) => Self::Verdict(verdict),
            None => Self::Data(Bytes::copy_from_slice(message)),
        })
    }
}

/// Splits datagrams into messages, and asks for an ACK with every request.
pub(super) struct Codec;

impl NetlinkMessageCodec for Codec {
    fn decode<T>(src: &mut BytesMut) -> io::Result<Option<NetlinkMessage<T>>>
    where
        T: NetlinkDeserializable + Debug,
    {
        while let Some(frame) = Frame::first(src) {
            let Ok(frame) = frame else {
                // Whom it would have answered cannot be told: the lane ends whoever is left.
                src.clear();
                break;
            };
            let mut header = NetlinkHeader::default();
            header.message_type = frame.kind;
            header.sequence_number = frame.seq;
            // A single reply is MULTI without a DONE, a verdict never: that makes it the last.
            header.flags = if frame.is_control() { 0 } else { NLM_F_MULTI };
            let about_a_request = !frame.is_control() || frame.is_verdict_of(frame.seq);
            let inner = T::deserialize(&header, frame.bytes).map_err(io::Error::other)?;
            let stride = frame.stride().min(src.len());
            src.advance(stride);
            if about_a_request {
                return Ok(Some(NetlinkMessage::new(
                    header,
                    NetlinkPayload::InnerMessage(inner),
                )));
            }
        }
        Ok(None)
    }

    fn encode<T>(message: NetlinkMessage<T>, datagram: &mut BytesMut) -> io::Result<()>
    where
        T: NetlinkSerializable + Debug,
    {
        let start = datagram.len();
        let len = message.buffer_len();
        datagram.resize(start + align4(len), 0);
        message.serialize(&mut datagram[start..start + len]);
        let flags = message.header.flags | NLM_F_ACK;
        datagram[start + 6..start + 8].copy_from_slice(&flags.to_ne_bytes());
        Ok(())
    }
}

/// The control connection's socket. Clones are the same socket, so that a new netlink-proto
/// connection can take over from one that has lost track.
///
/// The kernel answers inside our send: what is to be read is there when that returns, and nobody has
/// to wait for the socket.
#[derive(Clone)]
pub(super) struct ControlSocket(Arc<Inner>);

struct Inner {
    socket: Socket,
    /// Datagrams that must be in the receive queue.
    expected: AtomicU32,
    /// The datagram whose send failed, and the errno: no answer will come to what is in it.
    unsent: Mutex<Option<(i32, Vec<u8>)>>,
    /// The errno of the receive that failed for good.
    failure: AtomicI32,
}

impl Inner {
    fn unsent(&self) -> MutexGuard<'_, Option<(i32, Vec<u8>)>> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ControlSocket {
    pub(super) fn over(socket: Socket) -> Self {
        Self(Arc::new(Inner {
            socket,
            expected: AtomicU32::new(0),
            unsent: Mutex::new(None),
            failure: AtomicI32::new(0),
        }))
    }

    /// The last datagram, once, if its send failed, with the errno.
    pub(super) fn take_unsent(&self) -> Option<(i32, Vec<u8>)> {
        self.0.unsent().take()
    }

    /// There may be more in the queue than was counted.
    pub(super) fn expect_more(&self) {
        self.0.expected.store(u32::MAX, Ordering::Relaxed);
    }

    /// Why netlink-proto gave up.
    pub(super) fn failure(&self) -> Error {
        let errno = self.0.failure.load(Ordering::Relaxed);
        let cause = io::Error::from_raw_os_error(errno);
        Error::io("the control connection failed", cause)
    }

    fn expect_answers_to(&self, datagram: &[u8]) {
        let answers = Frame::all(datagram)
            .map(|frame| match frame.kind {
                IPCTNL_MSG_CT_NEW | IPCTNL_MSG_CT_DELETE => 1,
                _ => 2,
            })
            .sum();
        self.0.expected.store(answers, Ordering::Relaxed);
    }

    fn receive<B: BufMut>(&self, buffer: &mut B) -> Poll<io::Result<()>> {
        let expected = self.0.expected.load(Ordering::Relaxed);
        if expected == 0 {
            return Poll::Pending;
        }
        let mut datagram = BytesMut::new();
        let (result, left) = match self.0.socket.receive_now(&mut datagram) {
            Ok(()) => {
                buffer.put_slice(&datagram);
                (Poll::Ready(Ok(())), expected - 1)
            }
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => (Poll::Pending, 0),
            // It is lost, and whoever it was for is told that nothing came.
            Err(cause) if cause.raw_os_error() == Some(EMSGSIZE) => return self.receive(buffer),
            Err(cause) => {
                let left = match cause.raw_os_error() {
                    // Much may be left in the queue, and all of it counts: to be read to its end.
                    Some(ENOBUFS) => u32::MAX,
                    errno => {
                        self.0
                            .failure
                            .store(errno.unwrap_or(EINVAL), Ordering::Relaxed);
                        expected
                    }
                };
                (Poll::Ready(Err(cause)), left)
            }
        };
        self.0.expected.store(left, Ordering::Relaxed);
        result
    }
}

impl AsyncSocket for ControlSocket {
    fn socket_ref(&self) -> &RawSocket {
        // Part of the trait, called by nobody: netlink-proto itself never does, and neither do we.
        unreachable!("netlink-proto sends and receives by the methods below")
    }

    fn socket_mut(&mut self) -> &mut RawSocket {
        unreachable!("netlink-proto sends and receives by the methods below")
    }

    fn new(_: isize) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn poll_send(&self, cx: &mut Context<'_>, datagram: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send_to(cx, datagram, &SocketAddr::new(0, 0))
    }

    fn poll_send_to(
        &self,
        _: &mut Context<'_>,
        datagram: &[u8],
        _: &SocketAddr,
    ) -> Poll<io::Result<usize>> {
        *self.0.unsent() = None;
        match self.0.socket.send(datagram) {
            Ok(()) => self.expect_answers_to(datagram),
            // To netlink-proto the failure of one send would be the end of the connection. EAGAIN
            // is one as well: what goes to the kernel never waits in a queue.
            Err(cause) => {
                let errno = cause.raw_os_error().unwrap_or(EINVAL);
                *self.0.unsent() = Some((errno, datagram.to_vec()));
            }
        }
        Poll::Ready(Ok(datagram.len()))
    }

    fn poll_recv<B: BufMut>(&self, _: &mut Context<'_>, buffer: &mut B) -> Poll<io::Result<()>> {
        self.receive(buffer)
    }

    fn poll_recv_from<B: BufMut>(
        &self,
        _: &mut Context<'_>,
        buffer: &mut B,
    ) -> Poll<io::Result<SocketAddr>> {
        self.receive(buffer).map_ok(|()| SocketAddr::new(0, 0))
    }

    fn poll_recv_from_full(&self, _: &mut Context<'_>) -> Poll<io::Result<(Vec<u8>, SocketAddr)>> {
        let mut datagram = Vec::new();
        self.receive(&mut datagram)
            .map_ok(|()| (datagram, SocketAddr::new(0, 0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request::new(IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, AF_INET)
            .with(|w| w.put(CTA_MARK, &7_u32))
    }

    fn message(seq: u32) -> Message {
        let mut message = Message::from(request());
        message.header.sequence_number = seq;
        message.finalize();
        message
    }

    /// netlink-proto writes header and length itself.
    #[test]
    fn requests_leave_as_they_were_made() {
        let mut datagram = BytesMut::new();
        Codec::encode(message(8), &mut datagram).unwrap();
        Codec::encode(message(9), &mut datagram).unwrap();
        assert_eq!(
            datagram,
            [request().finish(8), request().finish(9)].concat()
        );
    }

    fn decoded(datagram: &[u8]) -> Vec<Message> {
        let mut rest = BytesMut::from(datagram);
        std::iter::from_fn(|| Codec::decode(&mut rest).unwrap()).collect()
    }

    proptest::proptest! {
        #[test]
        fn no_datagram_ends_the_connection(bytes in proptest::collection::vec(0u8.., 0..200)) {
            decoded(&bytes);
        }
    }
}
