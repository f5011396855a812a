//! The kernel's information about the protocol of a flow: its state, and details.

use bitflags::bitflags;

use super::bits::Masked;
use super::{DccpState, Protocol, SctpState, TcpState};
use crate::error::{Error, Result};
use crate::wire::attr::{Attributes, DecodeError, Value, Writer};
use crate::wire::table::{Codec, Context};
use crate::wire::uapi::*;
use crate::wire::usual::Usual;

/// The state of a flow's protocol, with its details.
///
/// `CTA_PROTOINFO`. Flows of UDP, ICMP, GRE and other protocols have none, and neither have
/// offloaded flows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum ProtoInfo {
    /// TCP.
    Tcp(TcpInfo),
    /// SCTP. It is boxed, as DCCP is, because otherwise every flow would be larger.
    Sctp(Box<SctpInfo>),
    /// DCCP (until Linux 6.16).
    Dccp(Box<DccpInfo>),
    /// A protocol that this version does not know.
    Other,
}

attributes! {
    /// The kernel's information about a TCP flow.
    #[derive(Copy, Default)]
    #[non_exhaustive]
    pub struct TcpInfo {
        /// The state, `--state`.
        CTA_PROTOINFO_TCP_STATE => state: TcpState,
        /// The window scale of the original direction, 0 to 14. The kernel sets it only together
        /// with the other direction's, and only if both directions have [`TcpFlags::WINDOW_SCALE`].
        CTA_PROTOINFO_TCP_WSCALE_ORIGINAL [with wscale_reply] => wscale_orig: Option<u8> = [rename = "wscale"],
        /// The window scale of the reply direction.
        CTA_PROTOINFO_TCP_WSCALE_REPLY [in wscale_orig] => wscale_reply: Option<u8> = [skip],
        /// The flags of the original direction. In a dump, all of them are valid.
        CTA_PROTOINFO_TCP_FLAGS_ORIGINAL [with flags_reply] => flags_orig: Option<Masked<TcpFlags>> = [rename = "flags"],
        /// The flags of the reply direction.
        CTA_PROTOINFO_TCP_FLAGS_REPLY [in flags_orig] => flags_reply: Option<Masked<TcpFlags>> = [skip],
    }
}

attributes! {
    /// The kernel's information about an SCTP flow.
    #[derive(Copy)]
    #[non_exhaustive]
    pub struct SctpInfo {
        /// The state.
        CTA_PROTOINFO_SCTP_STATE => state: SctpState,
        /// The verification tag of the original direction; absent in destroy events, and required
        /// in a request.
        CTA_PROTOINFO_SCTP_VTAG_ORIGINAL [with vtag_reply] => vtag_orig: Option<u32> = [rename = "vtag"],
        /// The verification tag of the reply direction.
        CTA_PROTOINFO_SCTP_VTAG_REPLY [in vtag_orig] => vtag_reply: Option<u32> = [skip],
    }
}

attributes! {
    /// The kernel's information about a DCCP flow (until Linux 6.16).
    #[derive(Copy)]
    #[non_exhaustive]
    pub struct DccpInfo {
        /// The state.
        CTA_PROTOINFO_DCCP_STATE => state: DccpState,
        /// The role of the original direction's sender: 0 client, 1 server.
        CTA_PROTOINFO_DCCP_ROLE => role: Option<u8>,
        /// The sequence number of the handshake.
        CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ => handshake_seq: Option<u64>,
    }
}

bitflags! {
    /// The flags of one direction of a TCP flow: `IP_CT_TCP_FLAG_*`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
    pub struct TcpFlags: u8 {
        /// The sender offered window scaling.
        const WINDOW_SCALE = 0x01;
        /// The sender offered selective acknowledgements.
        const SACK_PERM = 0x02;
        /// The sender sent the first FIN.
        const CLOSE_INIT = 0x04;
        /// Packets outside the window are let through.
        const BE_LIBERAL = 0x08;
        /// Data is not acknowledged yet.
        const DATA_UNACKNOWLEDGED = 0x10;
        /// The highest acknowledgement is known.
        const MAXACK_SET = 0x20;
        /// A challenge ACK is expected.
        const EXP_CHALLENGE_ACK = 0x40;
        /// Both sides opened at the same time.
        const SIMULTANEOUS_OPEN = 0x80;
    }
}

bits!(TcpFlags, u8);

/// Flags, then mask. The mask in a dump is 0 and has no meaning: all flags are valid.
impl Value for Masked<TcpFlags> {
    const LEN: usize = 2;
    #[inline]
    fn read(payload: &[u8]) -> Option<Self> {
        let [flags, mask] = <[u8; 2]>::read(payload)?;
        let mask = if mask == 0 { u8::MAX } else { mask };
        Some(Self::new(
            TcpFlags::from_bits_retain(flags & mask),
            TcpFlags::from_bits_retain(mask),
        ))
    }
    fn write(&self, out: &mut Vec<u8>) {
        [self.value().bits(), self.mask().bits()].write(out);
    }
}

impl TcpInfo {
    /// Only a state. An update with it leaves the rest unchanged.
    pub fn new(state: TcpState) -> Self {
        Self {
            state,
            ..Self::default()
        }
    }

    /// Sets the window scale of both directions.
    #[must_use]
    pub fn wscale(mut self, orig: u8, reply: u8) -> Self {
        (self.wscale_orig, self.wscale_reply) = (Some(orig), Some(reply));
        self
    }

    /// Sets the flags of both directions; those outside a mask keep their value.
    #[must_use]
    pub fn flags(
        mut self,
        orig: impl Into<Masked<TcpFlags>>,
        reply: impl Into<Masked<TcpFlags>>,
    ) -> Self {
        (self.flags_orig, self.flags_reply) = (Some(orig.into()), Some(reply.into()));
        self
    }

    /// A state for a flow whose packets the kernel has not seen.
    ///
    /// The window and its scale cannot be set, so both directions are
    /// [`BE_LIBERAL`](TcpFlags::BE_LIBERAL) and [`SACK_PERM`](TcpFlags::SACK_PERM), as in
    /// conntrack(8). The kernel then accepts packets outside the window.
    pub fn liberal(state: TcpState) -> Self {
        let flags = TcpFlags::BE_LIBERAL | TcpFlags::SACK_PERM;
        let flags = Masked::new(flags, flags);
        Self::new(state).flags(flags, flags)
    }
}

impl SctpInfo {
    /// A state and the verification tags of both directions. A request needs all of them.
    pub const fn new(state: SctpState, vtag_orig: u32, vtag_reply: u32) -> Self {
        Self {
            state,
            vtag_orig: Some(vtag_orig),
            vtag_reply: Some(vtag_reply),
        }
    }
}

impl DccpInfo {
    /// A state, and the role of the original direction's sender: 0 client, 1 server.
    pub const fn new(state: DccpState, role: u8) -> Self {
        Self {
            state,
            role: Some(role),
            handshake_seq: None,
        }
    }
}

impl From<TcpState> for ProtoInfo {
    /// Only the state. An update with it leaves the rest unchanged.
    fn from(state: TcpState) -> Self {
        TcpInfo::new(state).into()
    }
}

impl From<TcpInfo> for ProtoInfo {
    fn from(info: TcpInfo) -> Self {
        Self::Tcp(info)
    }
}

impl From<SctpInfo> for ProtoInfo {
    fn from(info: SctpInfo) -> Self {
        Self::Sctp(Box::new(info))
    }
}

impl From<DccpInfo> for ProtoInfo {
    fn from(info: DccpInfo) -> Self {
        Self::Dccp(Box::new(info))
    }
}

impl ProtoInfo {
    /// The part that can be given to another flow. It leaves out the TCP flags that belong to a
    /// window, because the kernel would check the next packets against that window. With MAXACK_SET
    /// and no highest acknowledgement, it took 16 of 24 resets for invalid.
    pub(crate) fn without_window(&self) -> Self {
        const OF_THE_WINDOW: TcpFlags = TcpFlags::MAXACK_SET
            .union(TcpFlags::EXP_CHALLENGE_ACK)
            .union(TcpFlags::DATA_UNACKNOWLEDGED);
        let mut info = self.clone();
        if let Self::Tcp(tcp) = &mut info {
            for flags in [&mut tcp.flags_orig, &mut tcp.flags_reply]
                .into_iter()
                .flatten()
            {
                *flags = Masked::new(flags.value() - OF_THE_WINDOW, flags.mask());
            }
        }
        info
    }

    /// Refuses values that the kernel would silently ignore or take for malformed.
    pub(crate) fn check(&self, protocol: Protocol) -> Result<()> {
        let (name, of) = match self {
            Self::Tcp(_) => ("TCP", Protocol::TCP),
            Self::Sctp(_) => ("SCTP", Protocol::SCTP),
            Self::Dccp(_) => ("DCCP", Protocol::DCCP),
            Self::Other => return Err(Error::invalid_input("protoinfo: unknown protocol")),
        };
        if of != protocol {
            return Err(Error::invalid_input(format!(
                "protoinfo: it is for {name}, but the flow's protocol is {protocol}"
            )));
        }
        let flaw = match self {
            Self::Tcp(info) if info.state.as_str().is_none() => "an unknown TCP state",
            Self::Tcp(info) if info.wscale_orig.max(info.wscale_reply) > Some(14) => {
                "a TCP window scale is at most 14"
            }
            Self::Tcp(info) if info.wscale_orig.is_some() != info.wscale_reply.is_some() => {
                "a TCP window scale must be set in both directions or in neither"
            }
            // The kernel uses the state as the index of a table. Only recent releases check it.
            Self::Sctp(info) if info.state > SctpState::HEARTBEAT_SENT => "an unknown SCTP state",
            Self::Sctp(info) if info.vtag_orig.is_none() || info.vtag_reply.is_none() => {
                "SCTP needs both verification tags"
            }
            Self::Dccp(info) if info.state.as_str().is_none() => "an unknown DCCP state",
            Self::Dccp(info) if info.role.is_none() => "DCCP needs the role",
            _ => return Ok(()),
        };
        Err(Error::invalid_input(format!("protoinfo: {flaw}")))
    }
}

impl Codec for ProtoInfo {
    const NEST: usize = 4 + TcpInfo::USUAL;

    /// What the kernel knows about a TCP flow.
    #[inline(always)]
    fn usual(payload: &[u8]) -> Option<Self> {
        let mut usual = Usual::of(payload, 4 + TcpInfo::USUAL)?;
        let tcp = usual.next(CTA_PROTOINFO_TCP | NLA_F_NESTED, TcpInfo::USUAL)?;
        TcpInfo::usual(tcp).map(Self::Tcp)
    }

    fn decode(payload: &[u8], cx: &mut Context) -> Result<Self, DecodeError> {
        let mut info = Self::Other;
        let mut attributes = Attributes(payload);
        while let Some(attr) = attributes.next()? {
            match attr.kind {
                CTA_PROTOINFO_TCP => {
                    info = Self::Tcp(within!(
                        CTA_PROTOINFO_TCP,
                        TcpInfo::decode(attr.payload, cx)
                    )?);
                }
                CTA_PROTOINFO_SCTP => {
                    info = within!(CTA_PROTOINFO_SCTP, SctpInfo::decode(attr.payload, cx))?.into();
                }
                CTA_PROTOINFO_DCCP => {
                    info = within!(CTA_PROTOINFO_DCCP, DccpInfo::decode(attr.payload, cx))?.into();
                }
                _ => {}
            }
        }
        Ok(info)
    }

    fn encode(&self, kind: u16, cx: &Context, w: &mut Writer<'_>) {
        w.nest(kind, |w| match self {
            Self::Tcp(info) => info.encode(CTA_PROTOINFO_TCP, cx, w),
            Self::Sctp(info) => info.encode(CTA_PROTOINFO_SCTP, cx, w),
            Self::Dccp(info) => info.encode(CTA_PROTOINFO_DCCP, cx, w),
            Self::Other => {}
        });
    }
}
