//! The conditions of a filter as plain data, and how two of a kind become one.

use std::fmt::Debug;
use std::ops::RangeInclusive;

use ipnet::IpNet;

use super::Filter;
use crate::flow::{Bits, Family, Labels, Masked, Status, TcpState};

/// A range of ports, both ends included: from a port (`443`) or a range (`8000..=8999`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Ports {
    first: u16,
    last: u16,
}

/// The ends of a flow that are translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum NatKind {
    /// The source, and maybe the destination too, `--src-nat`.
    Source,
    /// The destination, and maybe the source too, `--dst-nat`.
    Destination,
    /// One of them, or both, `--any-nat`.
    Any,
    /// None of them.
    None,
}

/// What a filter asks of a flow. All public ways to a [`Filter`] go through
/// [`checked`](Self::checked).
///
/// A condition whose name a reader of serialized filters does not know is an error: without it the
/// filter would match more.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
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
    pub(super) any_nat: bool,
    pub(super) has_helper: bool,
    /// Of each list, one at least.
    pub(super) any_of: Vec<Vec<Filter>>,
    pub(super) not: Vec<Filter>,
}

/// What is asked of the packets of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub(super) struct Ends {
    pub(super) src: Option<IpNet>,
    pub(super) dst: Option<IpNet>,
    pub(super) src_port: Option<Ports>,
    pub(super) dst_port: Option<Ports>,
}

impl Ports {
    /// The lowest port.
    pub fn first(&self) -> u16 {
        self.first
    }

    /// The highest port.
    pub fn last(&self) -> u16 {
        self.last
    }

    /// Is the port one of them?
    pub fn contains(&self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first > self.last
    }

    /// The port, where there is only one.
    pub(super) fn single(&self) -> Option<u16> {
        (self.first == self.last).then_some(self.first)
    }
}

impl From<u16> for Ports {
    fn from(port: u16) -> Self {
        Self::from(port..=port)
    }
}

impl From<RangeInclusive<u16>> for Ports {
    fn from(ports: RangeInclusive<u16>) -> Self {
        let (first, last) = ports.into_inner();
        Self { first, last }
    }
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

/// Conditions of one kind that can be one.
pub(super) trait Meet: Copy + Debug {
    /// The condition that holds where both do; `None` where that cannot be.
    fn meet(self, other: Self) -> Option<Self>;
}

macro_rules! exact {
    ($($ty:ty),+) => {
        $(impl Meet for $ty {
            fn meet(self, other: Self) -> Option<Self> {
                (self == other).then_some(self)
            }
        })+
    };
}

exact!(u8, u16, Family, TcpState);

impl Meet for Ports {
    fn meet(self, other: Self) -> Option<Self> {
        let both = Self {
            first: self.first.max(other.first),
            last: self.last.min(other.last),
        };
        (!both.is_empty()).then_some(both)
    }
}

impl Meet for IpNet {
    fn meet(self, other: Self) -> Option<Self> {
        match () {
            () if self.contains(&other) => Some(other),
            () if other.contains(&self) => Some(self),
            () => None,
        }
    }
}

impl<T: Bits + Debug> Meet for Masked<T> {
    fn meet(self, other: Self) -> Option<Self> {
        // Bits outside a mask are kept, for the check to refuse.
        if self.excess() != T::NONE {
            return Some(self);
        }
        if other.excess() != T::NONE {
            return Some(other);
        }
        let agree = self.value().and(other.mask()) == other.value().and(self.mask());
        agree.then(|| Self::new(self.value().or(other.value()), self.mask().or(other.mask())))
    }
}
