//! A `NETLINK_NETFILTER` socket: options, send, receive. All lanes use this type.

pub(crate) mod listen;
mod option;

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use netlink_sys::{Socket as Netlink, SocketAddr};
use nix::errno::Errno;
use nix::libc::{MSG_DONTWAIT, MSG_TRUNC};
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::error::{Error, ErrorKind, Result};
use crate::wire::message::Verdict;
use crate::wire::uapi::*;

/// The kernel fills a datagram of a dump up to the largest buffer it has seen on the socket, and
/// at most 32 448 bytes; a smaller buffer later would truncate one.
pub(crate) const RECEIVE: usize = 32 * 1024;

/// The part of a send queue that the kernel reserves for itself (netlink_sendmsg).
const SEND_OVERHEAD: usize = 32;

/// A blocking socket, bound and connected to the kernel.
#[derive(Debug)]
pub(crate) struct Socket(Inner);

#[derive(Debug)]
enum Inner {
    Kernel(Netlink),
    #[cfg(any(test, feature = "testing"))]
    Fake(crate::testing::FakeSocket),
}

impl Socket {
    /// Opens a socket in the current thread's namespace. Most callers need
    /// [`Namespace::socket`](super::netns::Namespace::socket) instead.
    pub(super) fn open() -> Result<Self> {
        let socket = try_open().map_err(unopened)?;
        Ok(Self(Inner::Kernel(socket)))
    }

    /// Opens a socket on a fake kernel.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn fake(kernel: &crate::testing::Kernel) -> Self {
        Self(Inner::Fake(crate::testing::FakeSocket::open(kernel)))
    }

    /// The fake socket, if this is one.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn as_fake(&self) -> Option<&crate::testing::FakeSocket> {
        match &self.0 {
            Inner::Kernel(_) => None,
            Inner::Fake(socket) => Some(socket),
        }
    }

    /// The number of the socket's network namespace, `SO_NETNS_COOKIE` (Linux 5.14).
    pub(super) fn namespace_cookie(&self) -> Option<u64> {
        match &self.0 {
            Inner::Kernel(socket) => getsockopt(socket, option::NamespaceCookie).ok(),
            #[cfg(any(test, feature = "testing"))]
            Inner::Fake(_) => None,
        }
    }

    /// Fails with `EPERM` if the process lacks `CAP_NET_ADMIN` over the namespace.
    ///
    /// It joins a group that has nothing to do with connection tracking, and leaves it again. That
    /// needs the same right as a request, and does not wait for the kernel's lock.
    pub(crate) fn check_right(&self) -> Result<()> {
        let joined = match &self.0 {
            Inner::Kernel(socket) => socket
                .add_membership(NFNLGRP_ACCT_QUOTA)
                .and_then(|()| socket.drop_membership(NFNLGRP_ACCT_QUOTA)),
            #[cfg(any(test, feature = "testing"))]
            Inner::Fake(socket) => socket.check_right(),
        };
        joined.map_err(|cause| match cause.raw_os_error() {
            Some(EPERM) => Error::refused(Verdict::of(EPERM)).context("opening a connection"),
            _ => Error::io("opening a netlink socket", cause),
        })
    }

    /// Makes a receive fail when nothing arrives for this long.
    pub(crate) fn set_timeout(&self, timeout: Duration) -> Result<()> {
        // Zero means to wait forever, and so does a number that is too large for the kernel.
        let micros = i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX);
        let micros = micros.clamp(1, i64::from(i32::MAX) * 1_000_000);
        match &self.0 {
            Inner::Kernel(socket) => setsockopt(
                socket,
                sockopt::ReceiveTimeout,
                &TimeVal::microseconds(micros),
            )
            .map_err(|errno| Error::io("setting the receive timeout", errno.into())),
            #[cfg(any(test, feature = "testing"))]
            Inner::Fake(socket) => {
                socket.set_timeout(Duration::from_micros(micros.unsigned_abs()));
                Ok(())
            }
        }
    }

    /// Asks for this many bytes of receive queue; the kernel doubles the number, up to its limit.
    pub(crate) fn set_receive_queue(&self, bytes: usize) -> Result<()> {
        // The kernel reads an int: a number that does not fit would become a small one, or zero.
        let bytes = bytes.min(i32::MAX as usize / 2);
        match &self.0 {
            Inner::Kernel(socket) => setsockopt(socket, sockopt::RcvBuf, &bytes)
                .map_err(|errno| Error::io("setting the receive buffer", errno.into())),
            #[cfg(any(test, feature = "testing"))]
            Inner::Fake(socket) => {
                socket.set_receive_queue(bytes);
                Ok(())
            }
        }
    }

    /// The size of the receive queue, in bytes as the kernel counts them.
    pub(crate) fn receive_queue(&self) -> Result<usize> {
        match &self.0 {
            Inner::Kernel(socket) => getsockopt(socket, sockopt::RcvBuf)
                .map_err(|errno| Error::io("reading the receive buffer", errno.into())),
            #[cfg(any(test, feature = "testing"))]
            Inner::Fake(socket) => Ok(socket.receive_queue()),
        }
    }

    /// The maximum size of a datagram in bytes.
    pub(crate) fn send_queue(&self) -> Result<usize> {
        match &self.0 {
            Inner::Kernel(socket) => getsockopt(socket, sockopt::SndBuf)
                .map(|bytes| bytes.saturating_sub(SEND_OVERHEAD))
                .map_err(|errno| Error::io("reading the send buffer", errno.into())),
            #[cfg(any(test, feature = "testing"))]
            Inner::Fake(socket) => Ok(socket.send_queue()),
        }
    }

    /// Sends requests as one datagram. The kernel carries them out before this returns. After an
    /// error, nothing has reached the kernel.
    pub(crate) fn send(&self, datagram: &[u8]) -> io::Result<()> {
        match &self.0 {
            // With an address, the kernel checks only the rights of the sender, and not also those
            // of the thread that opened the socket.
            Inner::Kernel(socket) => {
                retry(|| socket.send_to(datagram, &SocketAddr::new(0, 0), 0)).map(drop)
            }
            #[cfg(any(test, feature = "testing"))]
            Inner::Fake(socket) => retry(|| socket.send(datagram)),
        }
    }

    /// Appends a datagram of up to [`RECEIVE`] bytes to `buffer`.
    pub(crate) fn receive(&self, buffer: &mut BytesMut) -> io::Result<()> {
        match &self.0 {
            Inner::Kernel(socket) => receive_with(socket, 0, buffer),
            #[cfg(any(test, feature = "testing"))]
            Inner::Fake(socket) => {
                retry(|| socket.receive()).map(|datagram| buffer.extend_from_slice(&datagram))
            }
        }
    }

    /// [`receive`](Self::receive) without waiting: `WouldBlock` if nothing is there.
    pub(crate) fn receive_now(&self, buffer: &mut BytesMut) -> io::Result<()> {
        match &self.0 {
            Inner::Kernel(socket) => receive_with(socket, MSG_DONTWAIT, buffer),
            #[cfg(any(test, feature = "testing"))]
            Inner::Fake(socket) => {
                retry(|| socket.receive_now()).map(|datagram| buffer.extend_from_slice(&datagram))
            }
        }
    }
}

fn receive_with(socket: &Netlink, flags: i32, buffer: &mut BytesMut) -> io::Result<()> {
    buffer.reserve(RECEIVE);
    loop {
        let before = buffer.len();
        let (len, from) = retry(|| {
            let mut room = (&mut *buffer).limit(RECEIVE);
            socket.recv_from(&mut room, MSG_TRUNC | flags)
        })?;
        if len > RECEIVE {
            return Err(io::Error::from_raw_os_error(EMSGSIZE));
        }
        if from.port_number() == 0 {
            return Ok(());
        }
        // A connected socket receives only from the kernel, except for what was queued before the
        // connect.
        buffer.truncate(before);
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        match &self.0 {
            Inner::Kernel(socket) => socket.as_raw_fd(),
            // A fake socket has no descriptor, and is watched without one.
            #[cfg(any(test, feature = "testing"))]
            Inner::Fake(_) => -1,
        }
    }
}

fn try_open() -> io::Result<Netlink> {
    let mut socket = Netlink::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    // The kernel then refuses messages from other programs to this port.
    socket.connect(&SocketAddr::new(0, 0))?;
    // Short ACKs (Linux 4.2) and extended ACKs with the kernel's message (4.12) are optional.
    let _ = socket.set_cap_ack(true);
    let _ = socket.set_ext_ack(true);
    Ok(socket)
}

fn unopened(cause: io::Error) -> Error {
    let errno = cause.raw_os_error();
    let error = Error::io("opening a netlink socket", cause);
    match errno {
        Some(EPROTONOSUPPORT | EAFNOSUPPORT) => error.meaning(
            ErrorKind::Unsupported,
            "this kernel has no nfnetlink (CONFIG_NETFILTER_NETLINK)",
        ),
        _ => error,
    }
}

/// What a failed receive means.
pub(crate) fn unreceived(cause: io::Error) -> Error {
    match cause.raw_os_error() {
        Some(EMSGSIZE) => Error::io("receiving: a datagram was cut off", cause),
        _ if cause.kind() == io::ErrorKind::WouldBlock => Error::io("receiving", cause).meaning(
            ErrorKind::Timeout,
            "the kernel did not answer in time; the change may have been made",
        ),
        _ => Error::io("receiving", cause),
    }
}

/// Repeats a call that a signal interrupted.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(cause) if cause.raw_os_error() == Some(Errno::EINTR as i32) => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_nfnetlink_is_unsupported() {
        for (errno, kind) in [
            (EPROTONOSUPPORT, ErrorKind::Unsupported),
            (EAFNOSUPPORT, ErrorKind::Unsupported),
            (ENOMEM, ErrorKind::Io),
        ] {
            let error = unopened(io::Error::from_raw_os_error(errno));
            assert_eq!(error.kind(), kind);
        }
    }

    #[test]
    fn a_queue_that_no_number_can_say_is_as_large_as_can_be() {
        let socket = Socket::open().unwrap();
        socket.set_receive_queue(1 << 20).unwrap();
        let limit = socket.receive_queue().unwrap();
        for bytes in [1 << 31, 1 << 32, (1 << 32) + 5, usize::MAX] {
            socket.set_receive_queue(4096).unwrap();
            socket.set_receive_queue(bytes).unwrap();
            assert!(socket.receive_queue().unwrap() >= limit, "{bytes}");
        }
    }
}
