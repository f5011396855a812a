//! The control connection's socket, as netlink-proto uses it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::{io, mem};

use bytes::{BufMut, BytesMut};
use netlink_sys::{AsyncSocket, Socket as RawSocket, SocketAddr};

use crate::error::Error;
use crate::transport::socket::Socket;
use crate::transport::socket::listen::{Batch, MANY};
use crate::wire::attr::align4;
use crate::wire::message::Frame;
use crate::wire::uapi::*;

/// The control connection's socket. Clones are the same socket, so that a new netlink-proto
/// connection can take over from one that has lost track.
///
/// The kernel answers inside our send. The answers are there when the send returns, so nothing has
/// to wait for the socket.
#[derive(Clone)]
pub(super) struct ControlSocket(Arc<Inner>);

struct Inner {
    socket: Socket,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The sequence number of the last request, while its verdict must be in the receive queue.
    last: Option<u32>,
    /// Are there many datagrams in the receive queue, each with only a verdict?
    many: bool,
    has_data: bool,
    /// Was there no room for an answer?
    overran: bool,
    /// The datagram whose send failed, and the errno. Its requests get no answer.
    unsent: Option<(i32, Vec<u8>)>,
    /// The errno of a receive that failed for good.
    failure: i32,
    datagram: BytesMut,
    /// Made when many verdicts are to be received.
    batch: Option<Batch>,
}

impl ControlSocket {
    pub(super) fn over(socket: Socket) -> Self {
        let state = Mutex::default();
        Self(Arc::new(Inner { socket, state }))
    }

    /// Ignores poisoning, because a panic leaves no change half made.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last datagram, once, if its send failed, with the errno.
    pub(super) fn take_unsent(&self) -> Option<(i32, Vec<u8>)> {
        self.state().unsent.take()
    }

    /// Was an answer lost because the queue was full, since the last call?
    pub(super) fn take_overrun(&self) -> bool {
        mem::take(&mut self.state().overran)
    }

    /// Why netlink-proto gave up.
    pub(super) fn failure(&self) -> Error {
        let cause = io::Error::from_raw_os_error(self.state().failure);
        Error::io("the control connection failed", cause)
    }

    /// Sends a datagram. If that fails, keeps it together with the errno.
    pub(super) fn send(&self, datagram: &[u8]) {
        let mut state = self.state();
        (state.unsent, state.last) = (None, None);
        match self.0.socket.send(datagram) {
            Ok(()) => state.expect_answers_to(datagram),
            // A failed send would end the netlink-proto connection. EAGAIN is a failure too: a
            // message to the kernel never waits in a queue.
            Err(cause) => {
                let errno = cause.raw_os_error().unwrap_or(EINVAL);
                state.unsent = Some((errno, datagram.to_vec()));
            }
        }
    }

    /// Receives the answers, up to the verdict on the last request. Verdicts are received many at a
    /// time.
    pub(super) fn receive<B: BufMut>(&self, buffer: &mut B) -> Poll<io::Result<()>> {
        let state = &mut *self.state();
        while let Some(last) = state.last {
            let received = match state.many {
                true => state.receive_many(&self.0.socket, last, buffer),
                false => state.receive_one(&self.0.socket, last, buffer),
            };
            match received {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => state.last = None,
                // This answer is lost, and its caller is told so.
                Err(cause) if cause.raw_os_error() == Some(EMSGSIZE) => {}
                Err(cause) => {
                    match cause.raw_os_error() {
                        // The kernel reports this once. The earlier answers are still in the queue.
                        Some(ENOBUFS) => state.overran = true,
                        errno => state.failure = errno.unwrap_or(EINVAL),
                    }
                    return Poll::Ready(Err(cause));
                }
            }
        }
        Poll::Pending
    }
}

impl State {
    fn expect_answers_to(&mut self, datagram: &[u8]) {
        let mut acks = 0;
        self.has_data = false;
        for frame in Frame::all(datagram) {
            acks += usize::from(frame.flags & NLM_F_ACK != 0);
            self.has_data |= frame.expects_data();
            self.last = Some(frame.seq);
        }
        self.many = acks > 1 && !self.has_data;
    }

    /// Is the verdict on the last request in this datagram?
    fn note(&mut self, datagram: &[u8], last: u32) {
        if Frame::all(datagram).any(|frame| frame.is_verdict_of(last)) {
            self.last = None;
        }
    }

    fn receive_one<B: BufMut>(
        &mut self,
        socket: &Socket,
        last: u32,
        buffer: &mut B,
    ) -> io::Result<()> {
        let mut datagram = mem::take(&mut self.datagram);
        datagram.clear();
        let received = socket.receive_now(&mut datagram);
        if received.is_ok() {
            buffer.put_slice(&datagram);
            self.note(&datagram, last);
            // Some requests that did not ask for an ACK have failed.
            self.many = !self.has_data;
        }
        self.datagram = datagram;
        received
    }

    fn receive_many<B: BufMut>(
        &mut self,
        socket: &Socket,
        last: u32,
        buffer: &mut B,
    ) -> io::Result<()> {
        let mut batch = self.batch.take().unwrap_or_else(|| Batch::new(false));
        batch.clear();
        let received = socket.receive_many(&mut batch, MANY);
        for index in 0..batch.len() {
            // netlink aligns messages, but the end of a datagram need not be aligned.
            let (datagram, _) = batch.get(index);
            buffer.put_slice(datagram);
            buffer.put_bytes(0, align4(datagram.len()) - datagram.len());
            if index + 1 == batch.len() {
                self.note(datagram, last);
            }
        }
        self.batch = Some(batch);
        received
    }
}

impl AsyncSocket for ControlSocket {
    fn socket_ref(&self) -> &RawSocket {
        // Required by the trait, and never called by netlink-proto or by us.
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
        self.send(datagram);
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
