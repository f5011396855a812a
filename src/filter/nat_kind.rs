//! A condition on the translated ends of a flow.

use crate::flow::{Masked, Status};

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

impl NatKind {
    const BOTH: Status = Status::SRC_NAT.union(Status::DST_NAT);

    /// The status bits for this kind. `Any` cannot be expressed as a mask.
    pub(super) fn status(self) -> Option<Masked<Status>> {
        match self {
            Self::Source => Some(Masked::new(Status::SRC_NAT, Status::SRC_NAT)),
            Self::Destination => Some(Masked::new(Status::DST_NAT, Status::DST_NAT)),
            Self::None => Some(Masked::new(Status::empty(), Self::BOTH)),
            Self::Any => None,
        }
    }

    /// Returns `true` if the condition on the status excludes NAT.
    pub(super) fn is_ruled_out(status: Masked<Status>) -> bool {
        status.mask().contains(Self::BOTH) && !status.value().intersects(Self::BOTH)
    }

    pub(super) fn is_any(status: Status) -> bool {
        status.intersects(Self::BOTH)
    }
}
