//! A tuple for serde: the fields by the names of their accessors.

use std::net::{IpAddr, SocketAddr};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Tuple, has_ports};
use crate::flow::IcmpEcho;
use crate::wire::uapi::{IPPROTO_ICMP, IPPROTO_ICMPV6};

#[derive(Serialize, Deserialize)]
struct Fields {
    protocol: u8,
    src: IpAddr,
    dst: IpAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    src_port: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dst_port: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    icmp: Option<IcmpEcho>,
}

impl Serialize for Tuple {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Fields {
            protocol: self.protocol,
            src: self.src(),
            dst: self.dst(),
            src_port: self.src_port(),
            dst_port: self.dst_port(),
            icmp: self.icmp_echo(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Tuple {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Fields::deserialize(deserializer)?;
        let (src, dst, protocol) = (fields.src, fields.dst, fields.protocol);
        let tuple = match (fields.src_port, fields.dst_port, fields.icmp) {
            (None, None, None) => Self::generic(src, dst, protocol),
            (Some(src_port), Some(dst_port), None) if has_ports(protocol) => {
                let (src, dst) = (
                    SocketAddr::new(src, src_port),
                    SocketAddr::new(dst, dst_port),
                );
                Self::with_ports(protocol, src, dst)
            }
            (None, None, Some(echo)) => match (src, dst, protocol) {
                (IpAddr::V4(src), IpAddr::V4(dst), IPPROTO_ICMP) => Self::icmp(src, dst, echo),
                (IpAddr::V6(src), IpAddr::V6(dst), IPPROTO_ICMPV6) => Self::icmpv6(src, dst, echo),
                _ => return Err(D::Error::custom("icmp: of another protocol or family")),
            },
            _ => return Err(D::Error::custom("not what a tuple of this protocol has")),
        };
        tuple.map_err(D::Error::custom)
    }
}
