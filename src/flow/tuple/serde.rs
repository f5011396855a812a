//! A tuple for serde: the fields by the names of their accessors.

use std::net::IpAddr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Addresses, Detail, Tuple};
use crate::flow::IcmpEcho;

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
            protocol: self.protocol(),
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
        let addresses = Addresses::new(fields.src, fields.dst).map_err(D::Error::custom)?;
        let detail = match (fields.src_port, fields.dst_port, fields.icmp) {
            (None, None, None) => Detail::None,
            (Some(src), Some(dst), None) => Detail::Ports(src.to_be_bytes(), dst.to_be_bytes()),
            (None, None, Some(echo)) => Detail::Icmp(echo),
            _ => {
                return Err(D::Error::custom(
                    "a tuple has two ports, or icmp, or neither",
                ));
            }
        };
        Ok(Self {
            addresses,
            protocol: fields.protocol,
            detail,
        })
    }
}
