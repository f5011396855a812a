//! Whole messages: requests, received frames, and the kernel's verdict on a request.

pub(crate) mod datagram;

use super::attr::{Attribute, Attributes, DecodeError, Value, Writer, align4};
use super::uapi::*;

const NLMSGHDR: usize = 16;
const NFGENMSG: usize = 4;
/// The initial capacity for a request: an IPv6 create with labels, NAT and protoinfo fits.
const USUAL_REQUEST: usize = 320;

/// A request under construction; [`finish`](Self::finish) returns its bytes.
#[derive(Debug)]
pub(crate) struct Request(Vec<u8>);

impl Request {
    /// A message of `kind` for `family`. `NLM_F_REQUEST` and `NLM_F_ACK` are always set. Without
    /// the first, the kernel does nothing; without the second, it does not report success.
    pub(crate) fn new(kind: u16, flags: u16, family: u8) -> Self {
        Self::written(|bytes| Self::write(bytes, kind, flags, family, |_| {}))
    }

    /// The request that `write` appends with [`write`](Self::write).
    pub(crate) fn written(write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut bytes = Vec::with_capacity(USUAL_REQUEST);
        write(&mut bytes);
        Self(bytes)
    }

    /// Appends a message to a datagram, as [`new`](Self::new) and [`with`](Self::with) make it. It
    /// has its length, but no sequence number yet.
    #[inline]
    pub(crate) fn write(
        bytes: &mut Vec<u8>,
        kind: u16,
        flags: u16,
        family: u8,
        fill: impl FnOnce(&mut Writer<'_>),
    ) {
        let start = bytes.len();
        let mut headers = [0; NLMSGHDR + NFGENMSG];
        headers[4..6].copy_from_slice(&kind.to_ne_bytes());
        headers[6..8].copy_from_slice(&(flags | NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
        headers[NLMSGHDR..].copy_from_slice(&[family, NFNETLINK_V0, 0, 0]);
        bytes.extend_from_slice(&headers);
        fill(&mut Writer(bytes));
        set_length_and_seq(&mut bytes[start..], 0);
    }

    /// Sets the version. In version 1 a flush compares the family; in version 0 the kernel ignores
    /// it.
    pub(crate) fn version(mut self, version: u8) -> Self {
        self.0[NLMSGHDR + 1] = version;
        self
    }

    /// Appends attributes.
    pub(crate) fn with(mut self, fill: impl FnOnce(&mut Writer<'_>)) -> Self {
        fill(&mut Writer(&mut self.0));
        self
    }

    /// Sets the length and the sequence number, and returns the bytes to send.
    pub(crate) fn finish(mut self, seq: u32) -> Vec<u8> {
        set_length_and_seq(&mut self.0, seq);
        self.0
    }

    /// Appends the message to a datagram, without a sequence number.
    pub(crate) fn append_to(self, datagram: &mut Vec<u8>) {
        let bytes = self.finish(0);
        match datagram.is_empty() {
            true => *datagram = bytes,
            false => datagram.extend_from_slice(&bytes),
        }
    }

    /// Numbers the requests of a datagram, by their index and whether they are the last. Requests
    /// before the last one do not ask for an ACK, unless the kernel answers them with data.
    pub(crate) fn number(mut datagram: &mut [u8], number: impl Fn(usize, bool) -> u32) {
        let mut index = 0;
        while let Some(Ok(frame)) = Frame::first(datagram) {
            let (len, mut flags) = (frame.bytes.len(), frame.flags);
            let is_last = len == datagram.len();
            match is_last || frame.expects_data() {
                true => flags |= NLM_F_ACK,
                false => flags &= !NLM_F_ACK,
            }
            datagram[6..8].copy_from_slice(&flags.to_ne_bytes());
            datagram[8..12].copy_from_slice(&number(index, is_last).to_ne_bytes());
            datagram = &mut datagram[len..];
            index += 1;
        }
    }

    /// The length of the message, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns `true` if the kernel sends an object before its verdict.
    pub(crate) fn expects_data(&self) -> bool {
        expects_data(self.kind())
    }

    /// The netlink type of the message.
    pub(crate) fn kind(&self) -> u16 {
        u16::from_ne_bytes([self.0[4], self.0[5]])
    }
}

fn set_length_and_seq(request: &mut [u8], seq: u32) {
    // A request is a few hundred bytes: each attribute is bounded by its type.
    let len = request.len() as u32;
    request[0..4].copy_from_slice(&len.to_ne_bytes());
    request[8..12].copy_from_slice(&seq.to_ne_bytes());
}

/// Does the kernel answer a request of this type with an object? Create, update and delete have the
/// same numbers in every subsystem.
fn expects_data(kind: u16) -> bool {
    !matches!(kind & 0xff, MSG_NEW | MSG_DELETE)
}

/// One message of a received datagram.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) seq: u32,
    /// The whole message, from its netlink header on.
    pub(crate) bytes: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The first message of a datagram; `None` if the datagram is empty.
    ///
    /// After a length beyond the end, the rest of the datagram cannot be split.
    #[inline]
    pub(crate) fn first(datagram: &'a [u8]) -> Option<Result<Self, DecodeError>> {
        if datagram.is_empty() {
            return None;
        }
        let Some(&[l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..]) =
            datagram.first_chunk::<NLMSGHDR>()
        else {
            return Some(Err(DecodeError::Truncated));
        };
        let len = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        if len < NLMSGHDR {
            return Some(Err(DecodeError::Truncated));
        }
        let Some(bytes) = datagram.get(..len) else {
            return Some(Err(DecodeError::Truncated));
        };
        Some(Ok(Self {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            seq: u32::from_ne_bytes([s0, s1, s2, s3]),
            bytes,
        }))
    }

    /// The messages of a datagram, up to the first with an invalid length.
    pub(crate) fn all(mut datagram: &'a [u8]) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let frame = Self::first(datagram)?.ok()?;
            datagram = datagram.get(frame.stride()..).unwrap_or_default();
            Some(frame)
        })
    }

    /// Returns `true` if the kernel answers this request with an object before its verdict.
    pub(crate) fn expects_data(&self) -> bool {
        expects_data(self.kind)
    }

    /// The offset from this message to the next.
    #[inline]
    pub(crate) fn stride(&self) -> usize {
        align4(self.bytes.len())
    }

    /// The port of the program whose request caused an event; `None` for the kernel itself.
    #[inline]
    pub(crate) fn port_id(&self) -> Option<u32> {
        let bytes = self.bytes.get(12..)?.first_chunk()?;
        Some(u32::from_ne_bytes(*bytes)).filter(|port| *port != 0)
    }

    /// Returns `true` if it is the last answer to the request with this number.
    #[inline]
    pub(crate) fn is_verdict_of(&self, seq: u32) -> bool {
        matches!(self.kind, NLMSG_ERROR | NLMSG_DONE) && self.seq == seq
    }

    /// Returns `true` if it is one of netlink's own messages, and not one of a subsystem.
    #[inline]
    pub(crate) fn is_control(&self) -> bool {
        self.kind < NLMSG_MIN_TYPE
    }

    /// The attributes after the netfilter header.
    #[inline]
    pub(crate) fn attributes(&self) -> Result<Attributes<'a>, DecodeError> {
        let body = self
            .bytes
            .get(NLMSGHDR + NFGENMSG..)
            .ok_or_else(|| DecodeError::Truncated)?;
        Ok(Attributes(body))
    }

    /// The number in the netfilter header: in statistics, the number of the CPU.
    pub(crate) fn resource(&self) -> Result<u16, DecodeError> {
        let number = self.bytes.get(NLMSGHDR + 2..).and_then(u16::read);
        number.ok_or_else(|| DecodeError::Truncated)
    }

    /// The verdict in this message; `None` if it has none.
    #[inline]
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        match self.kind {
            NLMSG_ERROR => Some(Verdict::of_error(self)),
            NLMSG_DONE => {
                let code = self.bytes.get(NLMSGHDR..).and_then(ne_i32).unwrap_or(0);
                Some(Verdict::new(code, None))
            }
            _ => None,
        }
    }
}

/// The kernel's final answer to a request: an ACK, an error or the end of a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Zero for success, else a positive errno.
    pub(crate) errno: i32,
    pub(crate) ext_ack: Option<ExtAck>,
}

/// The kernel's message for the errno.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ExtAck {
    pub(crate) message: Option<Box<str>>,
}

impl Verdict {
    /// A verdict with this errno.
    pub(crate) fn of(errno: i32) -> Self {
        Self {
            errno,
            ext_ack: None,
        }
    }

    fn new(code: i32, ext_ack: Option<ExtAck>) -> Self {
        Self {
            errno: code.saturating_neg().max(0),
            ext_ack,
        }
    }

    fn of_error(frame: &Frame<'_>) -> Self {
        let body = &frame.bytes[NLMSGHDR..];
        let code = ne_i32(body).unwrap_or(0);
        // The TLVs come after the copy of the request. That is only its header in an ACK or a
        // capped error, and otherwise the whole request.
        let ext_ack = (frame.flags & NLM_F_ACK_TLVS != 0)
            .then(|| {
                let echoed = if frame.flags & NLM_F_CAPPED != 0 {
                    NLMSGHDR
                } else {
                    let len = body.get(4..).and_then(ne_i32)?;
                    align4(usize::try_from(len).ok()?)
                };
                body.get(echoed.checked_add(4)?..).map(ExtAck::read)
            })
            .flatten();
        Self::new(code, ext_ack)
    }
}

impl ExtAck {
    fn read(tlvs: &[u8]) -> Self {
        let mut ext_ack = Self::default();
        let mut attributes = Attributes(tlvs);
        while let Ok(Some(Attribute { kind, payload })) = attributes.next() {
            if kind == NLMSGERR_ATTR_MSG {
                let text = payload.split(|byte| *byte == 0).next().unwrap_or_default();
                ext_ack.message = Some(String::from_utf8_lossy(text).into());
            }
        }
        ext_ack
    }
}

fn ne_i32(bytes: &[u8]) -> Option<i32> {
    <[u8; 4]>::read(bytes).map(i32::from_ne_bytes)
}

#[cfg(test)]
mod tests;
