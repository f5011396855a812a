//! The two ends of a flow in one direction: addresses, protocol and what the protocol adds.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::address::plain_address;
use super::{IcmpEcho, Protocol};
use crate::error::{Error, Result};
use crate::wire::uapi::*;

#[cfg(feature = "serde")]
mod serde;
mod wire;

/// An address family of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(::serde::Serialize, ::serde::Deserialize))]
pub enum Family {
    /// IPv4, `-f ipv4`.
    Ipv4,
    /// IPv6, `-f ipv6`.
    Ipv6,
}

impl Family {
    /// The number that a message's header carries.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Ipv4 => AF_INET,
            Self::Ipv6 => AF_INET6,
        }
    }
}

/// The source and destination of packets in one direction of a flow.
///
/// Both addresses are of one family; ports, ICMP fields or GRE keys are there for the protocols
/// that have them, and absent for the others: no port 0 is invented.
///
/// `CTA_TUPLE_ORIG`, `CTA_TUPLE_REPLY`, `CTA_TUPLE_MASTER`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tuple {
    addresses: Addresses,
    protocol: u8,
    detail: Detail,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Addresses {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

/// What a protocol adds to the addresses. Ports as bytes: with `u16` a [`Tuple`] would be of even
/// size and a flow 8 bytes larger.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Detail {
    None,
    Ports([u8; 2], [u8; 2]),
    Icmp(IcmpEcho),
}

impl Tuple {
    /// A TCP tuple.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where the addresses are of two families.
    ///
    /// ```
    /// # use ctnetlink::Tuple;
    /// let tuple = Tuple::tcp("10.0.0.1:4000".parse()?, "10.0.0.2:443".parse()?)?;
    /// assert_eq!(tuple.dst_port(), Some(443));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tcp(src: SocketAddr, dst: SocketAddr) -> Result<Self> {
        Self::with_ports(IPPROTO_TCP, src, dst)
    }

    /// A UDP tuple.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where the addresses are of two families.
    pub fn udp(src: SocketAddr, dst: SocketAddr) -> Result<Self> {
        Self::with_ports(IPPROTO_UDP, src, dst)
    }

    /// A UDP-Lite tuple.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where the addresses are of two families.
    pub fn udplite(src: SocketAddr, dst: SocketAddr) -> Result<Self> {
        Self::with_ports(IPPROTO_UDPLITE, src, dst)
    }

    /// An SCTP tuple.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where the addresses are of two families.
    pub fn sctp(src: SocketAddr, dst: SocketAddr) -> Result<Self> {
        Self::with_ports(IPPROTO_SCTP, src, dst)
    }

    /// A DCCP tuple. From Linux 6.17 on the kernel no longer knows DCCP: it ignores the ports,
    /// and answers with a tuple that has none.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where the addresses are of two families.
    pub fn dccp(src: SocketAddr, dst: SocketAddr) -> Result<Self> {
        Self::with_ports(IPPROTO_DCCP, src, dst)
    }

    /// A GRE tuple; the keys stand where other protocols have ports: 0 and 0 for plain GRE, the
    /// call ids for PPTP's.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where the addresses are of two families.
    pub fn gre(src: IpAddr, dst: IpAddr, src_key: u16, dst_key: u16) -> Result<Self> {
        let (src, dst) = (SocketAddr::new(src, src_key), SocketAddr::new(dst, dst_key));
        Self::with_ports(IPPROTO_GRE, src, dst)
    }

    /// An ICMP tuple.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a type that is no query and no answer
    /// to one: the kernel tracks nothing else.
    pub fn icmp(src: Ipv4Addr, dst: Ipv4Addr, echo: IcmpEcho) -> Result<Self> {
        Self::with_icmp(IPPROTO_ICMP, Addresses::V4(src, dst), echo)
    }

    /// An ICMPv6 tuple.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a type that is no query and no answer
    /// to one: the kernel tracks nothing else.
    pub fn icmpv6(src: Ipv6Addr, dst: Ipv6Addr, echo: IcmpEcho) -> Result<Self> {
        Self::with_icmp(IPPROTO_ICMPV6, Addresses::V6(src, dst), echo)
    }

    /// A tuple of any other protocol, known by its addresses alone.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where the addresses are of two families,
    /// or where the protocol is one whose tuples have ports or ICMP fields.
    pub fn generic(src: IpAddr, dst: IpAddr, protocol: impl Into<Protocol>) -> Result<Self> {
        let protocol = protocol.into().number();
        match protocol {
            // The kernel of today has no ports for DCCP, that of yesterday had.
            _ if protocol != IPPROTO_DCCP && has_ports(protocol) => Err(Error::invalid_input(
                format!("protocol {protocol} has ports, and this tuple none"),
            )),
            IPPROTO_ICMP | IPPROTO_ICMPV6 => Err(Error::invalid_input(format!(
                "protocol {protocol} has a type, a code and an id, and this tuple none"
            ))),
            _ => Ok(Self {
                addresses: Addresses::new(src, dst)?,
                protocol,
                detail: Detail::None,
            }),
        }
    }

    fn with_ports(protocol: u8, src: SocketAddr, dst: SocketAddr) -> Result<Self> {
        Ok(Self {
            addresses: Addresses::new(src.ip(), dst.ip())?,
            protocol,
            detail: Detail::Ports(src.port().to_be_bytes(), dst.port().to_be_bytes()),
        })
    }

    fn with_icmp(protocol: u8, addresses: Addresses, echo: IcmpEcho) -> Result<Self> {
        match echo.inverse(protocol) {
            Some(_) => Ok(Self {
                addresses,
                protocol,
                detail: Detail::Icmp(echo),
            }),
            None => Err(Error::invalid_input(format!(
                "type {} of protocol {protocol} is no query, and only queries are tracked",
                echo.kind
            ))),
        }
    }

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

    /// The source port (GRE: key), where the protocol has one.
    pub fn src_port(&self) -> Option<u16> {
        match self.detail {
            Detail::Ports(src, _) => Some(u16::from_be_bytes(src)),
            _ => None,
        }
    }

    /// The destination port (GRE: key), where the protocol has one.
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

    /// The tuple of the answering packets, where nothing translates addresses.
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
                // A type that the kernel would not track can only come from a newer kernel.
                Detail::Icmp(echo) => Detail::Icmp(echo.inverse(self.protocol).unwrap_or(echo)),
            },
        }
    }

    /// A tuple of this one's form, with other values in it: what a mask is on the wire.
    pub(crate) fn same_form(
        &self,
        src: IpAddr,
        dst: IpAddr,
        src_port: u16,
        dst_port: u16,
    ) -> Result<Self> {
        Ok(Self {
            addresses: Addresses::new(src, dst)?,
            protocol: self.protocol,
            detail: match self.detail {
                Detail::None => Detail::None,
                Detail::Ports(..) => Detail::Ports(src_port.to_be_bytes(), dst_port.to_be_bytes()),
                Detail::Icmp(_) => Detail::Icmp(IcmpEcho::new(u8::MAX, u8::MAX, src_port)),
            },
        })
    }

    /// Are the two of one family and protocol, and have both ports, or neither?
    pub(crate) fn has_form_of(&self, other: &Self) -> bool {
        self.family() == other.family()
            && self.protocol == other.protocol
            && std::mem::discriminant(&self.detail) == std::mem::discriminant(&other.detail)
    }

    /// Is it the same tuple, up to ports that one side does not have (DCCP from Linux 6.17 on)?
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        let open = self.detail == Detail::None || other.detail == Detail::None;
        self.addresses == other.addresses
            && self.protocol == other.protocol
            && (open || self.detail == other.detail)
    }
}

/// Do tuples of the protocol have ports, or GRE's keys?
pub(crate) fn has_ports(protocol: u8) -> bool {
    matches!(
        protocol,
        IPPROTO_TCP | IPPROTO_UDP | IPPROTO_UDPLITE | IPPROTO_SCTP | IPPROTO_DCCP | IPPROTO_GRE
    )
}

impl Addresses {
    fn new(src: IpAddr, dst: IpAddr) -> Result<Self> {
        match (plain_address(src), plain_address(dst)) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => Ok(Self::V4(src, dst)),
            (IpAddr::V6(src), IpAddr::V6(dst)) => Ok(Self::V6(src, dst)),
            _ => Err(Error::invalid_input(format!(
                "source {src} and destination {dst} are of two families"
            ))),
        }
    }
}

plain!(Tuple);

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
