//! The two ends of a flow in one direction: addresses, protocol, and the protocol's own fields.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::address::plain_address;
use super::{Family, IcmpEcho, Protocol};
use crate::error::{Error, Result};
use crate::wire::uapi::*;

mod new;
#[cfg(feature = "serde")]
mod serde;
mod wire;

/// The source and the destination of packets in one direction of a flow.
///
/// Both addresses have the same family. Ports, ICMP fields and GRE keys are present only for the
/// protocols that have them.
///
/// `CTA_TUPLE_ORIG`, `CTA_TUPLE_REPLY`, `CTA_TUPLE_MASTER`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tuple {
    addresses: Addresses,
    protocol: u8,
    detail: Detail,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Addresses {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

/// The protocol's own fields. Ports are bytes, because with `u16` the size of a [`Tuple`] would be
/// even, and a flow 8 bytes larger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    None,
    Ports([u8; 2], [u8; 2]),
    Icmp(IcmpEcho),
}

impl Tuple {
    /// The value of a tuple that is not decoded yet.
    pub(crate) const BLANK: Self = Self {
        addresses: Addresses::V4(Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED),
        protocol: 0,
        detail: Detail::None,
    };

    /// The family of both addresses.
    pub fn family(&self) -> Family {
        match self.addresses {
            Addresses::V4(..) => Family::Ipv4,
            Addresses::V6(..) => Family::Ipv6,
        }
    }

    /// The source address.
    pub fn src(&self) -> IpAddr {
        match self.addresses {
            Addresses::V4(src, _) => src.into(),
            Addresses::V6(src, _) => src.into(),
        }
    }

    /// The destination address.
    pub fn dst(&self) -> IpAddr {
        match self.addresses {
            Addresses::V4(_, dst) => dst.into(),
            Addresses::V6(_, dst) => dst.into(),
        }
    }

    /// Source address and port, if the protocol has ports. `None` for GRE, because keys are not
    /// ports.
    pub fn src_socket(&self) -> Option<SocketAddr> {
        self.socket(self.src(), self.src_port())
    }

    /// Destination address and port, if the protocol has ports. `None` for GRE, because keys are
    /// not ports.
    pub fn dst_socket(&self) -> Option<SocketAddr> {
        self.socket(self.dst(), self.dst_port())
    }

    fn socket(&self, address: IpAddr, port: Option<u16>) -> Option<SocketAddr> {
        let port = port.filter(|_| self.protocol != IPPROTO_GRE)?;
        Some(SocketAddr::new(address, port))
    }

    /// The source port (GRE: key), if the protocol has one.
    pub fn src_port(&self) -> Option<u16> {
        match self.detail {
            Detail::Ports(src, _) => Some(u16::from_be_bytes(src)),
            _ => None,
        }
    }

    /// The destination port (GRE: key), if the protocol has one.
    pub fn dst_port(&self) -> Option<u16> {
        match self.detail {
            Detail::Ports(_, dst) => Some(u16::from_be_bytes(dst)),
            _ => None,
        }
    }

    /// Type, code and id, for ICMP and ICMPv6.
    pub fn icmp_echo(&self) -> Option<IcmpEcho> {
        match self.detail {
            Detail::Icmp(echo) => Some(echo),
            _ => None,
        }
    }

    /// The protocol.
    pub fn protocol(&self) -> Protocol {
        self.protocol.into()
    }

    /// The tuple of reply packets, if no address is translated.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self {
            addresses: match self.addresses {
                Addresses::V4(src, dst) => Addresses::V4(dst, src),
                Addresses::V6(src, dst) => Addresses::V6(dst, src),
            },
            protocol: self.protocol,
            detail: match self.detail {
                Detail::None => Detail::None,
                Detail::Ports(src, dst) => Detail::Ports(dst, src),
                // Only a newer kernel can send a type that this crate does not know.
                Detail::Icmp(echo) => Detail::Icmp(echo.inverse(self.protocol).unwrap_or(echo)),
            },
        }
    }

    /// Returns `true` if the other is the [`inverse`](Self::inverse), without making it.
    pub(crate) fn is_inverse_of(&self, other: &Self) -> bool {
        let has_other_ends = match (&self.addresses, &other.addresses) {
            (Addresses::V4(src, dst), Addresses::V4(from, to)) => src == to && dst == from,
            (Addresses::V6(src, dst), Addresses::V6(from, to)) => src == to && dst == from,
            _ => false,
        };
        has_other_ends
            && self.protocol == other.protocol
            && match (self.detail, other.detail) {
                (Detail::None, Detail::None) => true,
                (Detail::Ports(src, dst), Detail::Ports(from, to)) => src == to && dst == from,
                (Detail::Icmp(_), Detail::Icmp(_)) => self.inverse() == *other,
                _ => false,
            }
    }

    /// The tuple without ports and ICMP fields, as in a kernel that does not know the protocol.
    /// `None` if it has neither.
    pub(crate) fn without_detail(&self) -> Option<Self> {
        (self.detail != Detail::None).then_some(Self {
            detail: Detail::None,
            ..*self
        })
    }

    /// A tuple with the same fields and other values. On the wire, a mask is such a tuple.
    pub(crate) fn same_form(
        &self,
        src: IpAddr,
        dst: IpAddr,
        src_port: u16,
        dst_port: u16,
    ) -> Result<Self> {
        Ok(Self {
            addresses: Addresses::exact(src, dst)?,
            protocol: self.protocol,
            detail: match self.detail {
                Detail::None => Detail::None,
                Detail::Ports(..) => Detail::Ports(src_port.to_be_bytes(), dst_port.to_be_bytes()),
                Detail::Icmp(_) => Detail::Icmp(IcmpEcho::new(u8::MAX, u8::MAX, src_port)),
            },
        })
    }

    /// Returns `true` if both have the same family and protocol, and both or neither have ports.
    pub(crate) fn has_form_of(&self, other: &Self) -> bool {
        self.family() == other.family()
            && self.protocol == other.protocol
            && std::mem::discriminant(&self.detail) == std::mem::discriminant(&other.detail)
    }

    /// Returns `true` if the tuples are equal. Ports and ICMP fields may be absent on one side: the
    /// kernel may not know the protocol, or not over this family.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        let open = self.detail == Detail::None || other.detail == Detail::None;
        self.addresses == other.addresses
            && self.protocol == other.protocol
            && (open || self.detail == other.detail)
    }
}

/// Returns `true` if tuples of the protocol have ports or GRE keys.
pub(crate) fn has_ports(protocol: u8) -> bool {
    matches!(
        protocol,
        IPPROTO_TCP | IPPROTO_UDP | IPPROTO_UDPLITE | IPPROTO_SCTP | IPPROTO_DCCP | IPPROTO_GRE
    )
}

/// Returns `true` if tuples of the protocol have a type, a code and an id.
fn has_echo(protocol: u8) -> bool {
    matches!(protocol, IPPROTO_ICMP | IPPROTO_ICMPV6)
}

impl Addresses {
    fn new(src: IpAddr, dst: IpAddr) -> Result<Self> {
        Self::exact(plain_address(src), plain_address(dst))
    }

    /// Keeps the addresses as they are: they come from the kernel, or are masks.
    fn exact(src: IpAddr, dst: IpAddr) -> Result<Self> {
        match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => Ok(Self::V4(src, dst)),
            (IpAddr::V6(src), IpAddr::V6(dst)) => Ok(Self::V6(src, dst)),
            _ => Err(Error::invalid_input(format!(
                "source {src} and destination {dst} have different families"
            ))),
        }
    }
}

plain!(Tuple: Self::BLANK);

/// Hashes few words, because a table of flows hashes a tuple for each event.
impl Hash for Tuple {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let family = match self.addresses {
            Addresses::V4(src, dst) => {
                state.write_u64((u64::from(src.to_bits()) << 32) | u64::from(dst.to_bits()));
                0
            }
            Addresses::V6(src, dst) => {
                state.write_u128(src.to_bits());
                state.write_u128(dst.to_bits());
                1
            }
        };
        let pair = |one, two| (u32::from(u16::from_ne_bytes(one)) << 16) | u32::from(two);
        let (kind, detail) = match self.detail {
            Detail::None => (0, 0),
            Detail::Ports(src, dst) => (1, pair(src, u16::from_ne_bytes(dst))),
            Detail::Icmp(echo) => (2, pair(echo.id, u16::from_ne_bytes([echo.kind, echo.code]))),
        };
        let rest = u32::from_ne_bytes([0, family, kind, self.protocol]);
        state.write_u64((u64::from(detail) << 32) | u64::from(rest));
    }
}

impl fmt::Debug for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.detail {
            Detail::None => {
                write!(f, "{} {} -> {}", self.protocol, self.src(), self.dst())
            }
            Detail::Ports(src, dst) => write!(
                f,
                "{} {} -> {}",
                self.protocol,
                SocketAddr::new(self.src(), u16::from_be_bytes(src)),
                SocketAddr::new(self.dst(), u16::from_be_bytes(dst)),
            ),
            Detail::Icmp(echo) => {
                write!(
                    f,
                    "{} {} -> {} {echo:?}",
                    self.protocol,
                    self.src(),
                    self.dst()
                )
            }
        }
    }
}
