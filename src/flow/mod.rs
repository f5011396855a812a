//! The nouns of the table, one per file: plain data, without a socket or a task.

use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::wire::attr::DecodeError;
use crate::wire::message::Frame;
use crate::wire::table::Context;
use crate::wire::uapi::{IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_NEW};

#[macro_use]
pub(crate) mod bits;
#[macro_use]
mod settings;
#[cfg(feature = "serde")]
#[macro_use]
pub(crate) mod text;
pub(crate) mod accounting;
pub(crate) mod address;
pub(crate) mod family;
pub(crate) mod helper;
pub(crate) mod icmp;
pub(crate) mod key;
#[cfg(feature = "serde")]
pub(crate) mod named;
pub(crate) mod nat;
pub(crate) mod new;
#[cfg(feature = "netlink-packet")]
pub(crate) mod packet;
pub(crate) mod patch;
pub(crate) mod protocol;
pub(crate) mod protoinfo;
#[cfg(feature = "serde")]
mod requests;
pub(crate) mod states;
pub(crate) mod status;
pub(crate) mod tuple;
pub(crate) mod zone;

pub use accounting::{Counters, SeqAdj, SynProxy, Timestamp};
pub use bits::{Bits, Labels, Masked};
pub use family::Family;
pub use helper::{Helper, SecCtx};
pub use icmp::IcmpEcho;
pub use key::{Direction, FlowKey};
pub use nat::Nat;
pub use new::NewFlow;
pub use patch::Patch;
pub use protocol::Protocol;
pub use protoinfo::{DccpInfo, ProtoInfo, SctpInfo, TcpFlags, TcpInfo};
pub use states::{DccpState, SctpState, TcpState};
pub use status::Status;
pub use tuple::Tuple;
pub use zone::{Zone, ZoneDirection};

attributes! {
    /// One flow of the table, as the kernel shows it.
    ///
    /// An attribute that the kernel did not send is `None`. `Display` is the line that
    /// `conntrack -L` prints for the flow, `{:#}` that of `conntrack -L -o extended,id`.
    #[non_exhaustive]
    pub struct Flow {
        /// The tuple of packets from the side that started the flow, `-s` `-d`. `CTA_TUPLE_ORIG`.
        CTA_TUPLE_ORIG [of Orig] => orig: Tuple,
        /// The tuple of packets from the other side, `-r` `-q`. The inverse of `orig`, unless
        /// addresses are translated. `CTA_TUPLE_REPLY`.
        CTA_TUPLE_REPLY [of Reply, inverse orig] => reply: Tuple,
        /// The zone, `-w`. `CTA_ZONE` (Linux 2.6.34), `CTA_TUPLE_ZONE` (4.3).
        CTA_ZONE => zone: Zone = [default],
        /// What has happened to the flow, `-u`. `CTA_STATUS`.
        CTA_STATUS [mask CTA_STATUS_MASK] => status: Status = [default],
        /// The time left, in whole seconds. `CTA_TIMEOUT`. `None` for offloaded flows.
        CTA_TIMEOUT => timeout: Option<Duration> as "crate::flow::text::seconds" = [default],
        /// The mark, `-m`. `CTA_MARK`. A dump always has it; `None` in events, where it is 0, and
        /// on kernels without marks.
        CTA_MARK [mask CTA_MARK_MASK] => mark: Option<u32>,
        /// The state of the protocol, `--state`. `CTA_PROTOINFO`. `None` for protocols without
        /// one, and for offloaded flows.
        CTA_PROTOINFO => protoinfo: Option<ProtoInfo>,
        /// The traffic in the original direction. `CTA_COUNTERS_ORIG`. `None` unless
        /// `nf_conntrack_acct` was 1 when the flow began.
        CTA_COUNTERS_ORIG [with counters_reply] => counters_orig: Option<Counters> = [rename = "counters"],
        /// The traffic in the reply direction. `CTA_COUNTERS_REPLY`. `None` unless
        /// `nf_conntrack_acct` was 1 when the flow began.
        CTA_COUNTERS_REPLY [in counters_orig] => counters_reply: Option<Counters> = [skip],
        /// The labels, `-l`. `CTA_LABELS` (Linux 3.9). `None` if none is set.
        CTA_LABELS [mask CTA_LABELS_MASK] => labels: Option<Labels>,
        /// The SYN proxy's numbers. `CTA_SYNPROXY` (Linux 4.18). Zeros for flows made by a
        /// request.
        CTA_SYNPROXY => synproxy: Option<SynProxy>,
        /// The kernel's id of the flow, `-o id`. `CTA_ID`. It depends on the original tuple and the
        /// flow's place in memory: a flow that replaces one with the same tuple often has the same
        /// id.
        CTA_ID => id: Option<FlowId>,
        /// How many references the kernel holds to the flow. `CTA_USE`. 1 in dumps, 2 in the reply
        /// to a get, `None` in events.
        CTA_USE => use_count: Option<u32>,
    }
    boxed rare: Rare {
        /// The original tuple of the master: the flow that expected this one. `CTA_TUPLE_MASTER`.
        CTA_TUPLE_MASTER => master, set_master: Tuple,
        /// The helper that reads the flow's payload. `CTA_HELP`.
        CTA_HELP => helper, set_helper: Helper,
        /// When the flow began and ended. `CTA_TIMESTAMP` (Linux 2.6.39). `None` unless
        /// `nf_conntrack_timestamp` was 1 when the flow began.
        CTA_TIMESTAMP => timestamp, set_timestamp: Timestamp,
        /// When the event happened. `CTA_TIMESTAMP_EVENT` (Linux 6.14). `None` outside of events,
        /// and unless `nf_conntrack_timestamp` was 1 when the flow began.
        CTA_TIMESTAMP_EVENT => event_timestamp, set_event_timestamp: SystemTime as "crate::flow::text::stamp",
        /// How sequence numbers of the original direction are shifted. `CTA_SEQ_ADJ_ORIG`.
        CTA_SEQ_ADJ_ORIG => seqadj_orig, set_seqadj_orig: SeqAdj,
        /// How sequence numbers of the reply direction are shifted. `CTA_SEQ_ADJ_REPLY`.
        CTA_SEQ_ADJ_REPLY => seqadj_reply, set_seqadj_reply: SeqAdj,
        /// The security context. `CTA_SECCTX` (Linux 2.6.38).
        CTA_SECCTX => secctx, set_secctx: SecCtx,
    }
    in order {
        orig,
        reply,
        zone,
        // In events.
        [id, status, timeout],
        id,
        // In dumps.
        [status, mark, id, use_count, timeout],
        status,
        mark,
        id,
        use_count,
        timeout,
        protoinfo,
        counters_orig,
        counters_reply,
        // When a flow ends.
        protoinfo,
        labels,
        synproxy,
        // In events.
        mark,
    }
}

/// The kernel's id of a flow: four bytes that mean nothing outside the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(from = "u32", into = "u32"))]
pub struct FlowId([u8; 4]);

impl Flow {
    /// A flow with these tuples in zone 0, and no other attributes. It is for programs that test
    /// how they handle flows.
    pub fn new(orig: Tuple, reply: Tuple) -> Self {
        Self {
            orig,
            reply,
            zone: Zone::default(),
            status: Status::empty(),
            timeout: None,
            mark: None,
            protoinfo: None,
            counters_orig: None,
            counters_reply: None,
            labels: None,
            synproxy: None,
            id: None,
            use_count: None,
            rare: None,
        }
    }

    /// The family of the original tuple.
    pub fn family(&self) -> Family {
        self.orig.family()
    }

    /// Decodes one netlink message, with its header. It is for programs that get the bytes
    /// elsewhere: from a capture, or from their own socket.
    ///
    /// # Errors
    ///
    /// [`Decode`](crate::ErrorKind::Decode) if the bytes are not a message about a flow;
    /// [`Error::bytes`] has them.
    #[inline]
    pub fn from_message(message: &[u8]) -> Result<Self> {
        Error::reading(message, |frame| match frame.kind {
            IPCTNL_MSG_CT_NEW | IPCTNL_MSG_CT_DELETE => Self::decode(frame),
            kind => Err(DecodeError::NoFlow { kind }),
        })
    }

    /// Decodes the flow in a message.
    #[inline]
    pub(crate) fn decode(frame: &Frame<'_>) -> Result<Self, DecodeError> {
        Self::read(frame.attributes()?, &mut Context::default())
    }
}

impl crate::wire::attr::Value for FlowId {
    const LEN: usize = 4;
    #[inline]
    fn read(payload: &[u8]) -> Option<Self> {
        <[u8; 4]>::read(payload).map(Self)
    }
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }
}

impl From<FlowId> for u32 {
    /// The number that conntrack(8) prints.
    fn from(id: FlowId) -> Self {
        Self::from_be_bytes(id.0)
    }
}

impl From<u32> for FlowId {
    /// The id from the number that conntrack(8) prints.
    fn from(id: u32) -> Self {
        Self(id.to_be_bytes())
    }
}

impl std::fmt::Debug for FlowId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", u32::from(*self))
    }
}

#[cfg(test)]
pub(crate) mod tests;
