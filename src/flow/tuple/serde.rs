//! A tuple for serde: the fields by the names of their accessors.
//!
//! Whatever the kernel can show is read again: ports or none for a protocol that kernels have
//! ceased to know, fields of ICMP over either family.

use std::net::IpAddr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Addresses, Detail, Tuple, has_echo};
use crate::flow::address::plain_address;
use crate::flow::{Family, IcmpEcho, Protocol};

/// In text; what is absent has no key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    protocol: Protocol,
    src: IpAddr,
    dst: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp: Option<IcmpEcho>,
    /// Where the addresses do not tell: a flow of IPv6 whose addresses are IPv4's.
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<Family>,
}

/// In binary formats, which have no keys.
#[derive(Serialize, Deserialize)]
struct Binary(
    Family,
    Protocol,
    IpAddr,
    IpAddr,
    Option<(u16, u16)>,
    Option<IcmpEcho>,
);

impl Serialize for Tuple {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (protocol, src, dst) = (self.protocol(), self.src(), self.dst());
        let (src_port, dst_port) = (self.src_port(), self.dst_port());
        let icmp = self.icmp_echo();
        if serializer.is_human_readable() {
            let plain = [src, dst].map(plain_address).map(Family::of);
            let family = (plain != [self.family(); 2]).then_some(self.family());
            Text {
                protocol,
                src,
                dst,
                src_port,
                dst_port,
                icmp,
                family,
            }
            .serialize(serializer)
        } else {
            let ports = src_port.zip(dst_port);
            Binary(self.family(), protocol, src, dst, ports, icmp).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Tuple {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (family, protocol, src, dst, ports, icmp) = if deserializer.is_human_readable() {
            let it = Text::deserialize(deserializer)?;
            if it.src_port.is_some() != it.dst_port.is_some() {
                return Err(D::Error::custom("one port, where a tuple has two or none"));
            }
            let ports = it.src_port.zip(it.dst_port);
            (it.family, it.protocol, it.src, it.dst, ports, it.icmp)
        } else {
            let Binary(family, protocol, src, dst, ports, icmp) =
                Binary::deserialize(deserializer)?;
            (Some(family), protocol, src, dst, ports, icmp)
        };
        let addresses = match family {
            Some(Family::Ipv6) => Addresses::exact(src, dst),
            _ => Addresses::new(src, dst),
        };
        let detail = match (ports, icmp) {
            (None, None) => Detail::None,
            (Some((src, dst)), None) if !has_echo(protocol.number()) => {
                Detail::Ports(src.to_be_bytes(), dst.to_be_bytes())
            }
            (None, Some(echo)) if has_echo(protocol.number()) => Detail::Icmp(echo),
            _ => return Err(D::Error::custom("not what a tuple of this protocol has")),
        };
        let tuple = Self {
            addresses: addresses.map_err(D::Error::custom)?,
            protocol: protocol.number(),
            detail,
        };
        match family {
            Some(family) if family != tuple.family() => {
                Err(D::Error::custom("family: not that of the addresses"))
            }
            _ => Ok(tuple),
        }
    }
}
