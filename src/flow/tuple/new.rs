//! The constructors of a tuple.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Addresses, Detail, Tuple, has_echo, has_ports};
use crate::error::{Error, Result};
use crate::flow::{IcmpEcho, Protocol};

impl Tuple {
    /// A TCP tuple.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the addresses have different families.
    ///
    /// ```
    /// # use ctnetlink::Tuple;
    /// let tuple = Tuple::tcp("10.0.0.1:4000".parse()?, "10.0.0.2:443".parse()?)?;
    /// assert_eq!(tuple.dst_port(), Some(443));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tcp(src: SocketAddr, dst: SocketAddr) -> Result<Self> {
        Self::with_ports(Protocol::TCP, src, dst)
    }

    /// A UDP tuple.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the addresses have different families.
    pub fn udp(src: SocketAddr, dst: SocketAddr) -> Result<Self> {
        Self::with_ports(Protocol::UDP, src, dst)
    }

    /// A UDP-Lite tuple. From Linux 7.3 on the kernel does not know UDP-Lite: see
    /// [`generic`](Self::generic).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the addresses have different families.
    pub fn udplite(src: SocketAddr, dst: SocketAddr) -> Result<Self> {
        Self::with_ports(Protocol::UDPLITE, src, dst)
    }

    /// An SCTP tuple.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the addresses have different families.
    pub fn sctp(src: SocketAddr, dst: SocketAddr) -> Result<Self> {
        Self::with_ports(Protocol::SCTP, src, dst)
    }

    /// A DCCP tuple. From Linux 6.17 on the kernel does not know DCCP: it ignores the ports, and
    /// answers with a tuple that has none.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the addresses have different families.
    pub fn dccp(src: SocketAddr, dst: SocketAddr) -> Result<Self> {
        Self::with_ports(Protocol::DCCP, src, dst)
    }

    /// A GRE tuple; the keys take the place of ports. They are 0 for plain GRE, and the call ids
    /// for PPTP.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the addresses have different families.
    pub fn gre(src: IpAddr, dst: IpAddr, src_key: u16, dst_key: u16) -> Result<Self> {
        let (src, dst) = (SocketAddr::new(src, src_key), SocketAddr::new(dst, dst_key));
        Self::with_ports(Protocol::GRE, src, dst)
    }

    /// An ICMP tuple. No packet creates one over IPv6, but a request can, and
    /// [`FromStr`](std::str::FromStr) reads its text.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a type that is not a query or the answer
    /// to one: the kernel tracks no other.
    pub fn icmp(src: Ipv4Addr, dst: Ipv4Addr, echo: IcmpEcho) -> Result<Self> {
        Self::with_icmp(Protocol::ICMP, Addresses::V4(src, dst), echo)
    }

    /// An ICMPv6 tuple.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a type that is not a query or the answer
    /// to one: the kernel tracks no other; and for IPv4-mapped addresses.
    pub fn icmpv6(src: Ipv6Addr, dst: Ipv6Addr, echo: IcmpEcho) -> Result<Self> {
        if let Some(mapped) = [src, dst]
            .into_iter()
            .find(|it| it.to_ipv4_mapped().is_some())
        {
            return Err(Error::invalid_input(format!(
                "{mapped} is an IPv4 address, and ICMPv6 needs IPv6"
            )));
        }
        Self::with_icmp(Protocol::ICMPV6, Addresses::V6(src, dst), echo)
    }

    /// ICMP or ICMPv6 over either family: in a request, the kernel accepts both. If the kernel
    /// keeps no ICMPv6 fields, a line shows zeros for them.
    pub(crate) fn with_echo(
        protocol: Protocol,
        src: IpAddr,
        dst: IpAddr,
        echo: IcmpEcho,
    ) -> Result<Self> {
        if !has_echo(protocol.number()) {
            return Err(Error::invalid_input(format!(
                "protocol {protocol} has no type, code and id"
            )));
        }
        let addresses = Addresses::new(src, dst)?;
        if protocol == Protocol::ICMPV6 && echo == IcmpEcho::new(0, 0, 0) {
            return Ok(Self {
                addresses,
                protocol: protocol.number(),
                detail: Detail::None,
            });
        }
        Self::with_icmp(protocol, addresses, echo)
    }

    /// A tuple of any protocol except ICMP. For a protocol without ports, both ports must be 0.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the addresses have different families,
    /// if the protocol has no ports and one is not 0, and for ICMP and ICMPv6, which have their own
    /// [constructors](Self::icmp).
    ///
    /// ```
    /// # use ctnetlink::{Protocol, Tuple};
    /// let (src, dst) = ("10.0.0.1:4000".parse()?, "10.0.0.2:443".parse()?);
    /// assert_eq!(Tuple::new("tcp".parse::<Protocol>()?, src, dst)?, Tuple::tcp(src, dst)?);
    /// assert!(Tuple::new(Protocol::ESP, src, dst).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(protocol: impl Into<Protocol>, src: SocketAddr, dst: SocketAddr) -> Result<Self> {
        let protocol = protocol.into();
        if has_ports(protocol.number()) {
            return Self::with_ports(protocol, src, dst);
        }
        if (src.port(), dst.port()) != (0, 0) && !has_echo(protocol.number()) {
            return Err(Error::invalid_input(format!(
                "a port, but protocol {protocol} has none"
            )));
        }
        Self::generic(src.ip(), dst.ip(), protocol)
    }

    /// A tuple that has only addresses, for a protocol whose ports the kernel does not track.
    ///
    /// A kernel without SCTP, GRE, UDP-Lite (removed in Linux 7.3) or DCCP (removed in 6.17) keeps
    /// no ports of these protocols. Their flows are found with and without ports.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the addresses have different families,
    /// or if every kernel knows the fields of the protocol: TCP, UDP, ICMP, ICMPv6.
    pub fn generic(src: IpAddr, dst: IpAddr, protocol: impl Into<Protocol>) -> Result<Self> {
        let protocol = protocol.into();
        match protocol {
            Protocol::TCP | Protocol::UDP => Err(Error::invalid_input(format!(
                "protocol {protocol} has ports, but the tuple has none"
            ))),
            Protocol::ICMP | Protocol::ICMPV6 => Err(Error::invalid_input(format!(
                "protocol {protocol} has a type, a code and an id, but the tuple has none"
            ))),
            _ => Ok(Self {
                addresses: Addresses::new(src, dst)?,
                protocol: protocol.number(),
                detail: Detail::None,
            }),
        }
    }

    fn with_ports(protocol: Protocol, src: SocketAddr, dst: SocketAddr) -> Result<Self> {
        Ok(Self {
            addresses: Addresses::new(src.ip(), dst.ip())?,
            protocol: protocol.number(),
            detail: Detail::Ports(src.port().to_be_bytes(), dst.port().to_be_bytes()),
        })
    }

    fn with_icmp(protocol: Protocol, addresses: Addresses, echo: IcmpEcho) -> Result<Self> {
        match echo.inverse(protocol.number()) {
            Some(_) => Ok(Self {
                addresses,
                protocol: protocol.number(),
                detail: Detail::Icmp(echo),
            }),
            None => Err(Error::invalid_input(format!(
                "type {} of protocol {protocol} is not a query; the kernel tracks only queries",
                echo.kind
            ))),
        }
    }
}
