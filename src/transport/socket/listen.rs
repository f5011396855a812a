//! Socket functions for the listen lane: groups, a filter, a large queue, many datagrams in one
//! call, and the number of drops.

// Without the feature `testing`, there is only one kind of socket.
#![allow(clippy::infallible_destructuring_match)]

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, RawFd};

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, NetlinkAddr, RecvMsg, getsockopt, recvmmsg,
    setsockopt, sockopt,
};
use socket2::{SockFilter, SockRef};

use super::{Inner, Socket, option, retry};
use crate::error::{Error, ErrorKind, Result};
use crate::wire::bpf::Instruction;
use crate::wire::uapi::*;

/// The maximum number of datagrams in one call.
pub(crate) const MANY: usize = 32;

/// The buffer for one event. Events have about 300 bytes, but a security context may be long.
const EVENT: usize = 4096;

/// Buffers for received datagrams, which are used again and again.
#[derive(Debug)]
pub(crate) struct Batch {
    bytes: Box<[u8]>,
    datagrams: Vec<Datagram>,
    /// Do datagrams carry the id of their namespace?
    with_nsid: bool,
}

/// One datagram of a batch.
#[derive(Debug, Clone, Copy)]
struct Datagram {
    slot: usize,
    len: usize,
    nsid: Option<u32>,
}

/// The state of a socket's receive queue, from `SO_MEMINFO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Queue {
    /// The bytes in the queue, as the kernel counts them.
    pub(crate) used: usize,
    /// The size of the queue in bytes.
    pub(crate) room: usize,
    /// The number of datagrams that found no room since the socket was opened. It wraps at 2³².
    pub(crate) drops: u32,
}

impl Batch {
    pub(crate) fn new(with_nsid: bool) -> Self {
        Self {
            bytes: vec![0; MANY * EVENT].into(),
            datagrams: Vec::with_capacity(MANY),
            with_nsid,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.datagrams.clear();
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// The datagram at an index below [`len`](Self::len), and the id of its namespace.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> (&[u8], Option<u32>) {
        let Datagram { slot, len, nsid } = self.datagrams[index];
        (&self.bytes[slot * EVENT..][..len], nsid)
    }
}

impl Socket {
    /// Joins a multicast group.
    pub(crate) fn join(&self, group: u32) -> Result<()> {
        let joined = match &self.0 {
            Inner::Kernel(socket) => socket.add_membership(group),
            #[cfg(any(test, feature = "testing"))]
            Inner::Fake(socket) => socket.join_group(group),
        };
        joined.map_err(|cause| match cause.raw_os_error() {
            Some(EPERM) => Error::io("joining a group of events", cause).meaning(
                ErrorKind::PermissionDenied,
                "CAP_NET_ADMIN is needed, in the user namespace that owns the network namespace",
            ),
            _ => Error::io("joining a group of events", cause),
        })
    }

    /// Asks for this many bytes of receive queue, beyond the limit of the system if the caller has
    /// the right. The kernel doubles the number.
    pub(crate) fn force_receive_queue(&self, bytes: usize) -> Result<()> {
        let socket = match &self.0 {
            Inner::Kernel(socket) => socket,
            #[cfg(any(test, feature = "testing"))]
            Inner::Fake(socket) => {
                socket.force_receive_queue(bytes);
                return Ok(());
            }
        };
        let bytes_int = bytes.min(i32::MAX as usize / 2);
        match setsockopt(socket, sockopt::RcvBufForce, &bytes_int) {
            Ok(()) => Ok(()),
            Err(_) => self.set_receive_queue(bytes),
        }
    }

    /// Makes the kernel keep an event and send it again if this socket has no room for it.
    pub(crate) fn set_reliable(&self) -> Result<()> {
        let asked = match &self.0 {
            Inner::Kernel(socket) => socket
                .set_broadcast_error(true)
                .and_then(|()| socket.set_no_enobufs(true)),
            #[cfg(any(test, feature = "testing"))]
            Inner::Fake(socket) => {
                socket.set_broadcast_error(true);
                socket.set_no_enobufs(true);
                Ok(())
            }
        };
        asked.map_err(|cause| Error::io("asking for reliable events", cause))
    }

    /// Also receives from the namespaces that this one has an id for.
    pub(crate) fn set_all_namespaces(&self) -> Result<()> {
        let socket = match &self.0 {
            Inner::Kernel(socket) => socket,
            // A fake kernel has only one namespace.
            #[cfg(any(test, feature = "testing"))]
            Inner::Fake(_) => return Ok(()),
        };
        let doing = "listening to all namespaces";
        socket
            .set_listen_all_namespaces(true)
            .map_err(|cause| match cause.raw_os_error() {
                Some(EPERM) => Error::io(doing, cause).meaning(
                    ErrorKind::PermissionDenied,
                    "listening to all namespaces: CAP_NET_BROADCAST is needed, in the user \
                     namespace that owns the network namespace",
                ),
                _ => Error::io(doing, cause),
            })
    }

    /// Attaches a program. From now on, only the datagrams that it accepts are queued.
    pub(crate) fn attach(&self, program: &[Instruction]) -> Result<()> {
        let socket = match &self.0 {
            Inner::Kernel(socket) => socket,
            #[cfg(any(test, feature = "testing"))]
            Inner::Fake(socket) => {
                socket.attach(program);
                return Ok(());
            }
        };
        let program: Vec<SockFilter> = program
            .iter()
            .map(|it| SockFilter::new(it.code, it.jt, it.jf, it.k))
            .collect();
        SockRef::from(socket)
            .attach_filter(&program)
            .map_err(|cause| Error::io("attaching a socket filter", cause))
    }

    /// The state of the receive queue, and the number of drops.
    pub(crate) fn queue(&self) -> io::Result<Queue> {
        let socket = match &self.0 {
            Inner::Kernel(socket) => socket,
            #[cfg(any(test, feature = "testing"))]
            Inner::Fake(socket) => {
                return Ok(Queue {
                    used: socket.backlog(),
                    room: socket.receive_queue(),
                    drops: socket.drops() as u32,
                });
            }
        };
        let [used, room, .., drops] = getsockopt(socket, option::MemInfo)?;
        Ok(Queue {
            used: used as usize,
            room: room as usize,
            drops,
        })
    }

    /// Receives up to `many` datagrams into the batch, which must be empty, without waiting.
    /// `WouldBlock` if there are none. An error after the first datagram is left for the next call.
    pub(crate) fn receive_many(&self, batch: &mut Batch, many: usize) -> io::Result<()> {
        let socket = match &self.0 {
            Inner::Kernel(socket) => socket,
            #[cfg(any(test, feature = "testing"))]
            Inner::Fake(socket) => return batch.receive_fake(socket, many),
        };
        // A signal can interrupt the call only before the first datagram.
        retry(|| batch.receive(socket.as_raw_fd(), many))
    }
}

impl Batch {
    #[cfg(any(test, feature = "testing"))]
    fn receive_fake(&mut self, socket: &crate::testing::FakeSocket, many: usize) -> io::Result<()> {
        for slot in 0..many.min(MANY) {
            // An error after the first datagram is left for the next call.
            if slot > 0 && !socket.has_datagram() {
                break;
            }
            let datagram = socket.receive_now()?;
            let len = datagram.len().min(EVENT);
            self.bytes[slot * EVENT..][..len].copy_from_slice(&datagram[..len]);
            self.datagrams.push(Datagram {
                slot,
                len,
                nsid: None,
            });
        }
        Ok(())
    }

    /// The headers are created for each call, because they hold pointers and so are not `Send`. The
    /// cost is shared by up to 32 datagrams.
    fn receive(&mut self, fd: RawFd, many: usize) -> io::Result<()> {
        let mut slots: Vec<[IoSliceMut<'_>; 1]> = self
            .bytes
            .chunks_exact_mut(EVENT)
            .take(many)
            .map(|slot| [IoSliceMut::new(slot)])
            .collect();
        let control = self.with_nsid.then(|| nix::cmsg_space!(i32));
        let mut headers = MultiHeaders::<NetlinkAddr>::preallocate(slots.len(), control);
        let flags = MsgFlags::MSG_DONTWAIT;
        let received = recvmmsg(fd, &mut headers, slots.iter_mut(), flags, None)?;
        for (slot, message) in received.enumerate() {
            // A connected socket receives only from the kernel, except for what was queued before
            // the connect.
            if message.address.is_none_or(|address| address.pid() == 0) {
                self.datagrams.push(Datagram {
                    slot,
                    len: message.bytes,
                    nsid: self.with_nsid.then(|| nsid(&message)).flatten(),
                });
            }
        }
        Ok(())
    }
}

fn nsid(message: &RecvMsg<'_, '_, NetlinkAddr>) -> Option<u32> {
    message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::Unknown(control)
            if control.cmsg_header.cmsg_level == nix::libc::SOL_NETLINK
                && control.cmsg_header.cmsg_type == NETLINK_LISTEN_ALL_NSID =>
        {
            let nsid = i32::from_ne_bytes(*control.data_bytes.first_chunk()?);
            u32::try_from(nsid).ok()
        }
        _ => None,
    })
}
