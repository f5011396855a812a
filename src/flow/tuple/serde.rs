//! Serde for a tuple: the fields have the names of their accessors.
//!
//! Every tuple that a kernel can send can be read: with or without ports for a protocol that newer
//! kernels do not know, and with ICMP fields over either family.

use std::net::IpAddr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Addresses, Detail, Tuple, has_echo};
use crate::flow::address::plain_address;
use crate::flow::{Family, IcmpEcho, Protocol};

/// In text formats, an absent field has no key.
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
    /// Present if the addresses do not show the family: an IPv6 flow whose addresses are
    /// IPv4-mapped.
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<Family>,
}

/// Binary formats have no keys.
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
                return Err(D::Error::custom("one port is missing"));
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
            _ => return Err(D::Error::custom("the fields do not fit the protocol")),
        };
        let tuple = Self {
            addresses: addresses.map_err(D::Error::custom)?,
            protocol: protocol.number(),
            detail,
        };
        match family {
            Some(family) if family != tuple.family() => Err(D::Error::custom(
                "family: it differs from that of the addresses",
            )),
            _ => Ok(tuple),
        }
    }
}
