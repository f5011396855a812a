//! A batch of nftables messages: the kernel takes all of them or none.

use std::fmt;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_netfilter::nftables::NfTablesMessage;
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use nix::errno::Errno;
use nix::libc::{MSG_DONTWAIT, NFNL_SUBSYS_NFTABLES};

/// The kernel refused a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What should have been made.
    pub what: String,
    /// The reason. `ENOENT`: the kernel does not have the expression, helper or chain type.
    pub errno: Errno,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nftables refuses {}: {}", self.what, self.errno)
    }
}

impl std::error::Error for Refused {}

/// Messages to be sent, each with a description of what it makes. The sequence number of a message is its index plus
/// one. The begin message has number 0, and so have errors about the whole batch.
#[derive(Default)]
pub(super) struct Batch {
    messages: Vec<(String, NetfilterMessage, u16)>,
}

impl Batch {
    pub(super) fn push(
        &mut self,
        what: String,
        family: NetfilterProtoFamily,
        flags: u16,
        message: NfTablesMessage,
    ) {
        self.messages.push((
            what,
            NetfilterMessage::new(NetfilterHeader::new(family, 0, 0), message),
            flags,
        ));
    }

    /// Sends the batch in the network namespace of this thread.
    pub(super) fn send(&self) -> Result<(), Refused> {
        let socket = self.exchange().map_err(|error| self.refused(0, error))?;
        let mut acks = 0;
        // The kernel works inside our send, so all its answers are there.
        while acks < self.messages.len() {
            let mut buffer = Vec::with_capacity(1 << 16);
            socket
                .recv(&mut buffer, MSG_DONTWAIT)
                .map_err(|error| self.refused(0, error))?;
            let mut rest = buffer.as_slice();
            while !rest.is_empty() {
                let reply = NetlinkMessage::<NetfilterMessage>::deserialize(rest)
                    .expect("a netlink message");
                let NetlinkPayload::Error(error) = reply.payload else {
                    panic!("not an answer: {reply:?}")
                };
                if error.code.is_some() {
                    return Err(self.refused(reply.header.sequence_number, error.to_io()));
                }
                acks += 1;
                rest = &rest[(reply.header.length as usize)
                    .next_multiple_of(4)
                    .min(rest.len())..];
            }
        }
        Ok(())
    }

    fn exchange(&self) -> std::io::Result<Socket> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        socket.send(&self.bytes(), 0)?;
        Ok(socket)
    }

    fn bytes(&self) -> Vec<u8> {
        let control = |message| {
            let subsystem = NFNL_SUBSYS_NFTABLES as u16;
            let header = NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, subsystem);
            NetfilterMessage::new(header, NetfilterMessageInner::None(message))
        };
        let mut bytes = Vec::new();
        append(&mut bytes, control(ControlMessage::BatchBegin), 0, 0);
        for (number, (_, message, flags)) in (1..).zip(&self.messages) {
            append(&mut bytes, message.clone(), number, flags | NLM_F_ACK);
        }
        append(&mut bytes, control(ControlMessage::BatchEnd), 0, 0);
        bytes
    }

    fn refused(&self, number: u32, error: std::io::Error) -> Refused {
        let what = match number
            .checked_sub(1)
            .and_then(|index| self.messages.get(index as usize))
        {
            Some((what, ..)) => what.clone(),
            None => self
                .messages
                .iter()
                .map(|(what, ..)| what.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        };
        Refused {
            what,
            errno: Errno::from_raw(error.raw_os_error().unwrap_or(0)),
        }
    }
}

fn append(bytes: &mut Vec<u8>, message: NetfilterMessage, number: u32, flags: u16) {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    header.sequence_number = number;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
    message.finalize();
    let start = bytes.len();
    bytes.resize(start + message.buffer_len(), 0);
    message.serialize(&mut bytes[start..]);
}
