//! A socket of NETLINK_NETFILTER: options, send, receive.

use std::io;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use netlink_sys::{Socket as RawSocket, SocketAddr};
use nix::libc::{MSG_DONTWAIT, MSG_TRUNC};
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::error::{Error, ErrorKind, Result};
use crate::wire::message::{Frame, Request, Verdict};
use crate::wire::uapi::*;

/// The kernel fills a datagram of a dump up to the largest buffer it has seen on the socket, and
/// at most 32 448 bytes; a smaller buffer later would truncate one.
pub(crate) const RECEIVE: usize = 32 * 1024;

/// How long the kernel may take to answer the probe, unless it is walking for somebody else.
const PROBE: Duration = Duration::from_secs(10);

/// A blocking socket, bound, for one request at a time.
#[derive(Debug)]
pub(crate) struct Socket(RawSocket);

impl Socket {
    /// Opens a socket in the current thread's namespace.
    pub(crate) fn open() -> Result<Self> {
        Self::try_open().map_err(unopened)
    }

    fn try_open() -> io::Result<Self> {
        let mut socket = RawSocket::new(NETLINK_NETFILTER)?;
        prepare(&mut socket)?;
        Ok(Self(socket))
    }

    /// Fails a receive that the kernel leaves without an answer for this long.
    pub(crate) fn set_timeout(&self, timeout: Duration) -> Result<()> {
        // Zero would mean to wait for ever; so does, to the kernel, a number of no use.
        let micros = i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX);
        let micros = micros.clamp(1, i64::from(i32::MAX) * 1_000_000);
        setsockopt(
            &self.0,
            sockopt::ReceiveTimeout,
            &TimeVal::microseconds(micros),
        )
        .map_err(|errno| Error::io("setting the receive timeout", errno.into()))
    }

    /// Asks for this many bytes of receive queue; the kernel doubles the number, up to its limit.
    pub(crate) fn set_receive_queue(&self, bytes: usize) -> Result<()> {
        setsockopt(&self.0, sockopt::RcvBuf, &bytes)
            .map_err(|errno| Error::io("setting the receive buffer", errno.into()))
    }

    /// The room of the receive queue, in bytes as the kernel counts them.
    pub(crate) fn receive_queue(&self) -> Result<usize> {
        getsockopt(&self.0, sockopt::RcvBuf)
            .map_err(|errno| Error::io("reading the receive buffer", errno.into()))
    }

    /// Sends a request. The kernel acts on it before this returns.
    pub(crate) fn send(&self, message: &[u8]) -> Result<()> {
        self.try_send(message)
            .map_err(|cause| Error::io("sending a request", cause))
    }

    /// [`send`](Self::send), with the errno of a failure: then nothing has reached the kernel.
    pub(crate) fn try_send(&self, message: &[u8]) -> io::Result<()> {
        self.0.send_to(message, &SocketAddr::new(0, 0), 0).map(drop)
    }

    /// Receives a datagram of the kernel into the free room of `buffer`, [`RECEIVE`] bytes of it.
    pub(crate) fn receive(&self, buffer: &mut BytesMut) -> Result<()> {
        self.receive_with(0, buffer).map_err(|cause| {
            let doing = match cause.raw_os_error() {
                Some(EMSGSIZE) => "receiving: a datagram was cut off",
                _ if cause.kind() == io::ErrorKind::WouldBlock => {
                    "receiving: the kernel did not answer"
                }
                _ => "receiving",
            };
            Error::io(doing, cause)
        })
    }

    /// [`receive`](Self::receive) of what is there already: `WouldBlock` where nothing is.
    pub(crate) fn receive_now(&self, buffer: &mut BytesMut) -> io::Result<()> {
        self.receive_with(MSG_DONTWAIT, buffer)
    }

    fn receive_with(&self, flags: i32, buffer: &mut BytesMut) -> io::Result<()> {
        buffer.reserve(RECEIVE);
        loop {
            let before = buffer.len();
            let mut room = buffer.limit(RECEIVE);
            match self.0.recv_from(&mut room, MSG_TRUNC | flags) {
                Ok((len, _)) if len > RECEIVE => {
                    return Err(io::Error::from_raw_os_error(EMSGSIZE));
                }
                // Anybody may write to a netlink socket; only the kernel has port 0.
                Ok((_, from)) if from.port_number() != 0 => buffer.truncate(before),
                Ok(_) => return Ok(()),
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
    }

    /// Asks for the number of flows, which every kernel from 3.6 on answers at once: it shows
    /// whether ctnetlink is there and the caller may use it.
    pub(crate) fn probe(&self) -> Result<()> {
        const SEQ: u32 = 1;
        self.set_timeout(PROBE)?;
        self.send(&Request::new(IPCTNL_MSG_CT_GET_STATS, 0, AF_UNSPEC).finish(SEQ))?;
        let mut buffer = BytesMut::new();
        loop {
            self.receive(&mut buffer)?;
            let verdict = Frame::all(&buffer)
                .find(|frame| frame.is_verdict_of(SEQ))
                .and_then(|frame| frame.verdict());
            if let Some(verdict) = verdict {
                return check_probe(verdict);
            }
            buffer.clear();
        }
    }
}

/// Gives a new socket its address, and asks for short ACKs (Linux 4.2) and the kernel's words
/// (4.12), which are good to have and not needed.
pub(super) fn prepare(socket: &mut RawSocket) -> io::Result<()> {
    socket.bind_auto()?;
    let _ = socket.set_cap_ack(true);
    let _ = socket.set_ext_ack(true);
    Ok(())
}

fn check_probe(verdict: Verdict) -> Result<()> {
    let errno = verdict.errno;
    Error::check(verdict).map_err(|error| match errno {
        EINVAL | EOPNOTSUPP => error.meaning(
            ErrorKind::Unsupported,
            "this kernel has no ctnetlink (CONFIG_NF_CT_NETLINK, module nf_conntrack_netlink)",
        ),
        _ => error,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_ctnetlink_is_told_from_a_caller_without_the_right() {
        for (errno, kind) in [
            (EINVAL, ErrorKind::Unsupported),
            (EOPNOTSUPP, ErrorKind::Unsupported),
            (EPERM, ErrorKind::PermissionDenied),
        ] {
            let error = check_probe(Verdict::of(errno)).unwrap_err();
            assert_eq!((error.kind(), error.errno()), (kind, Some(errno)));
        }
        assert!(check_probe(Verdict::of(0)).is_ok());
        for (errno, kind) in [
            (EPROTONOSUPPORT, ErrorKind::Unsupported),
            (EAFNOSUPPORT, ErrorKind::Unsupported),
            (ENOMEM, ErrorKind::Io),
        ] {
            let error = unopened(io::Error::from_raw_os_error(errno));
            assert_eq!(error.kind(), kind);
        }
    }
}
