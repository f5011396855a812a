//! The queries of ICMP and ICMPv6.

use crate::wire::uapi::{IPPROTO_ICMP, IPPROTO_ICMPV6};

/// The fields by which ICMP and ICMPv6 queries are tracked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct IcmpEcho {
    #[cfg_attr(feature = "serde", serde(rename = "type"))]
    pub(super) kind: u8,
    pub(super) code: u8,
    /// In bytes, like the ports in a [`Tuple`](super::Tuple).
    #[cfg_attr(feature = "serde", serde(with = "number"))]
    pub(super) id: [u8; 2],
}

impl IcmpEcho {
    /// An echo request (ping) of ICMP: type 8.
    pub fn request(id: u16) -> Self {
        Self::new(8, 0, id)
    }

    /// An echo request (ping) of ICMPv6: type 128.
    pub fn request_v6(id: u16) -> Self {
        Self::new(128, 0, id)
    }

    /// Any type and code; only queries can be tracked (echo, timestamp, information and address
    /// mask of ICMP, echo and node information of ICMPv6).
    pub fn new(kind: u8, code: u8, id: u16) -> Self {
        Self {
            kind,
            code,
            id: id.to_be_bytes(),
        }
    }

    /// The ICMP type.
    pub fn kind(&self) -> u8 {
        self.kind
    }

    /// The ICMP code.
    pub fn code(&self) -> u8 {
        self.code
    }

    /// The identifier.
    pub fn id(&self) -> u16 {
        u16::from_be_bytes(self.id)
    }

    /// The fields of the reply to this query, or of the query to this reply. `None` if the type is
    /// neither.
    pub(super) fn inverse(self, protocol: u8) -> Option<Self> {
        let kind = match (protocol, self.kind) {
            (IPPROTO_ICMP, 8) => 0,
            (IPPROTO_ICMP, 0) => 8,
            (IPPROTO_ICMP, 13 | 15 | 17) | (IPPROTO_ICMPV6, 128 | 139) => self.kind + 1,
            (IPPROTO_ICMP, 14 | 16 | 18) | (IPPROTO_ICMPV6, 129 | 140) => self.kind - 1,
            _ => return None,
        };
        Some(Self { kind, ..self })
    }
}

/// Serializes the id as a number.
#[cfg(feature = "serde")]
mod number {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(id: &[u8; 2], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(u16::from_be_bytes(*id))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 2], D::Error> {
        u16::deserialize(from).map(u16::to_be_bytes)
    }
}
