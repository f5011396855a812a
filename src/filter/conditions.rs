//! The conditions of a filter as plain data.

use super::{Filter, Ports, PrefixSet};
use crate::flow::{DccpState, Family, Labels, Masked, SctpState, Status, TcpState, Tuple};

/// The ends of a flow that are translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum NatKind {
    /// At least the source, `--src-nat`.
    Source,
    /// At least the destination, `--dst-nat`.
    Destination,
    /// The source, the destination, or both, `--any-nat`.
    Any,
    /// Neither.
    None,
}

/// What a filter asks of a flow. All public ways to a [`Filter`] go through
/// [`checked`](Self::checked).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Conditions {
    pub(super) family: Option<Family>,
    pub(super) protocol: Option<u8>,
    pub(super) orig: Ends,
    pub(super) reply: Ends,
    pub(super) icmp_type: Option<u8>,
    pub(super) icmp_code: Option<u8>,
    pub(super) icmp_id: Option<u16>,
    pub(super) zone: Option<u16>,
    pub(super) orig_zone: Option<u16>,
    pub(super) reply_zone: Option<u16>,
    pub(super) mark: Option<Masked<u32>>,
    pub(super) labels: Option<Masked<Labels>>,
    /// All kinds of NAT but `Any` are a part of it.
    pub(super) status: Option<Masked<Status>>,
    pub(super) tcp_state: Option<TcpState>,
    pub(super) sctp_state: Option<SctpState>,
    pub(super) dccp_state: Option<DccpState>,
    pub(super) any_nat: bool,
    pub(super) has_helper: bool,
    pub(super) helper: Option<Box<str>>,
    pub(super) has_master: bool,
    pub(super) master: Option<Tuple>,
    /// Of each list, one at least.
    pub(super) any_of: Vec<Vec<Filter>>,
    pub(super) not: Vec<Filter>,
}

/// What is asked of the packets of one direction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Ends {
    pub(super) src: Option<PrefixSet>,
    pub(super) dst: Option<PrefixSet>,
    pub(super) src_port: Option<Ports>,
    pub(super) dst_port: Option<Ports>,
}

impl Ends {
    pub(super) fn ports(&self) -> impl Iterator<Item = Ports> {
        [self.src_port, self.dst_port].into_iter().flatten()
    }
}

impl NatKind {
    const BOTH: Status = Status::SRC_NAT.union(Status::DST_NAT);

    /// The status bits that tell it; `Any` is more than a mask can say.
    pub(super) fn status(self) -> Option<Masked<Status>> {
        match self {
            Self::Source => Some(Masked::new(Status::SRC_NAT, Status::SRC_NAT)),
            Self::Destination => Some(Masked::new(Status::DST_NAT, Status::DST_NAT)),
            Self::None => Some(Masked::new(Status::empty(), Self::BOTH)),
            Self::Any => None,
        }
    }

    /// Is any translation ruled out by what is asked of the status?
    pub(super) fn is_ruled_out(status: Masked<Status>) -> bool {
        status.mask().contains(Self::BOTH) && !status.value().intersects(Self::BOTH)
    }

    pub(super) fn is_any(status: Status) -> bool {
        status.intersects(Self::BOTH)
    }
}
