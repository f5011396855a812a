//! An rtnetlink message and its reply.

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;
use nix::libc::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NLMSG_ERROR};

const HEADER: usize = 16;

/// Whether the message creates an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Create {
    No,
    New,
}

/// A request that is being built.
#[derive(Debug)]
pub(super) struct Message {
    bytes: Vec<u8>,
    flags: u16,
}

impl Message {
    pub(super) fn new(kind: u16, create: Create) -> Self {
        let flags = match create {
            Create::No => NLM_F_REQUEST,
            Create::New => NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL,
        };
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        Self {
            bytes,
            flags: flags as u16,
        }
    }

    /// The header of the kind, or a part of it.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend(bytes);
        self
    }

    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.nested(kind, |message| {
            message.bytes(value);
        })
    }

    /// An attribute whose value `f` appends.
    pub(super) fn nested(&mut self, kind: u16, f: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend([0; 4]);
        f(self);
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes[start + 2..start + 4].copy_from_slice(&kind.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    /// Sends a request for an ACK.
    pub(super) fn execute(&mut self, what: &str) {
        self.flags |= NLM_F_ACK as u16;
        self.query(what);
    }

    /// Sends the request, and returns the reply without its header.
    pub(super) fn query(&mut self, what: &str) -> Vec<u8> {
        let length = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[6..8].copy_from_slice(&self.flags.to_ne_bytes());
        let mut reply = self
            .exchange()
            .unwrap_or_else(|error| panic!("cannot {what}: {error}"));
        let body = reply.split_off(HEADER);
        let kind = u16::from_ne_bytes([reply[4], reply[5]]);
        if i32::from(kind) == NLMSG_ERROR {
            let code = i32::from_ne_bytes(body[..4].try_into().expect("four bytes"));
            assert!(code == 0, "cannot {what}: {}", Errno::from_raw(-code));
        }
        body
    }

    /// The kernel has answered by the time that the send returns.
    fn exchange(&self) -> std::io::Result<Vec<u8>> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.send(&self.bytes, 0)?;
        let mut reply = Vec::with_capacity(1 << 16);
        socket.recv(&mut reply, 0)?;
        Ok(reply)
    }
}

/// The value of an attribute.
pub(super) fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    while let [a, b, c, d, ..] = *attributes {
        let length = usize::from(u16::from_ne_bytes([a, b]));
        if u16::from_ne_bytes([c, d]) == wanted {
            return attributes.get(4..length);
        }
        attributes = attributes.get(length.max(4).next_multiple_of(4)..)?;
    }
    None
}
