//! Network address translation in a request.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::address::plain_address;
use super::{Family, Protocol, Tuple};
use crate::error::{Error, Result};
use crate::wire::attr::Writer;
use crate::wire::uapi::*;

/// The addresses and ports that one end of a new flow is translated to.
///
/// `--src-nat`, `--dst-nat`; `CTA_NAT_SRC`, `CTA_NAT_DST`. The kernel picks an address and a port
/// that no other flow uses. The kernel never sends these attributes. The reply tuple and the
/// [`Status`](crate::Status) of a flow show its translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Fields", into = "Fields"))]
pub struct Nat {
    min: IpAddr,
    max: IpAddr,
    ports: Option<(u16, u16)>,
}

impl Nat {
    /// Translates to one address. The port is kept if it is free.
    pub fn to(address: impl Into<IpAddr>) -> Self {
        Self::exactly(plain_address(address.into()))
    }

    /// Translates to an address from a range.
    pub fn to_any(addresses: RangeInclusive<IpAddr>) -> Self {
        let (min, max) = addresses.into_inner();
        Self {
            min: plain_address(min),
            max: plain_address(max),
            ports: None,
        }
    }

    /// The addresses: one, or a range.
    pub fn get_addresses(&self) -> RangeInclusive<IpAddr> {
        self.min..=self.max
    }

    /// The ports, if any were set.
    pub fn get_ports(&self) -> Option<RangeInclusive<u16>> {
        self.ports.map(|(min, max)| min..=max)
    }

    /// Translates to this address, which comes from the kernel and is not normalized.
    pub(super) fn exactly(address: IpAddr) -> Self {
        Self {
            min: address,
            max: address,
            ports: None,
        }
    }

    /// Sets the port (ICMP: id). Not for GRE: the kernel ignores its keys here.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        self.ports(port..=port)
    }

    /// Sets a range of ports, from which the kernel picks one.
    #[must_use]
    pub fn ports(mut self, ports: RangeInclusive<u16>) -> Self {
        self.ports = Some(ports.into_inner());
        self
    }

    /// `end` completes "… NAT".
    pub(crate) fn check(&self, orig: &Tuple, end: &str) -> Result<()> {
        let family = Family::of;
        if family(self.min) != orig.family() || family(self.max) != orig.family() {
            return Err(Error::invalid_input(format!(
                "{end} NAT: {} does not have the flow's family",
                if family(self.min) == orig.family() {
                    self.max
                } else {
                    self.min
                },
            )));
        }
        if self.min > self.max || self.ports.is_some_and(|(min, max)| min > max) {
            return Err(Error::invalid_input(format!(
                "{end} NAT: the range is empty"
            )));
        }
        if self.ports.is_some() && orig.protocol() == Protocol::GRE {
            return Err(Error::invalid_input(format!(
                "{end} NAT: the kernel ignores GRE keys here"
            )));
        }
        if self.ports.is_some() && orig.src_port().is_none() && orig.icmp_echo().is_none() {
            return Err(Error::invalid_input(format!(
                "{end} NAT: a port, but protocol {} has none",
                orig.protocol()
            )));
        }
        Ok(())
    }

    pub(crate) fn encode(&self, kind: u16, w: &mut Writer<'_>) {
        w.nest(kind, |w| {
            for (address, v4, v6) in [
                (&self.min, CTA_NAT_V4_MINIP, CTA_NAT_V6_MINIP),
                (&self.max, CTA_NAT_V4_MAXIP, CTA_NAT_V6_MAXIP),
            ] {
                match address {
                    IpAddr::V4(address) => w.put(v4, address),
                    IpAddr::V6(address) => w.put(v6, address),
                }
            }
            if let Some((min, max)) = &self.ports {
                w.nest(CTA_NAT_PROTO, |w| {
                    w.put(CTA_PROTONAT_PORT_MIN, min);
                    w.put(CTA_PROTONAT_PORT_MAX, max);
                });
            }
        });
    }
}

/// For serde, before the checks. With a single address, there is no `max`. There is a family only if
/// an address is IPv4-mapped, which would be read as IPv4 otherwise.
#[cfg(feature = "serde")]
#[derive(Clone)]
struct Fields {
    min: IpAddr,
    max: Option<IpAddr>,
    ports: Option<(u16, u16)>,
    family: Option<Family>,
}

#[cfg(feature = "serde")]
keyed! {
    Fields;
    [min: IpAddr,]
    [max: Option<IpAddr>, ports: Option<(u16, u16)>, family: Option<Family>,]
}

#[cfg(feature = "serde")]
impl From<Nat> for Fields {
    fn from(nat: Nat) -> Self {
        let Nat { min, max, ports } = nat;
        let family = Family::of(min);
        let is_plain = [min, max].map(plain_address) == [min, max];
        let max = Some(max).filter(|max| *max != min);
        Self {
            min,
            max,
            ports,
            family: (!is_plain).then_some(family),
        }
    }
}

#[cfg(feature = "serde")]
impl TryFrom<Fields> for Nat {
    type Error = Error;

    fn try_from(fields: Fields) -> Result<Self> {
        let Fields {
            min,
            max,
            ports,
            family,
        } = fields;
        let mut ends = [min, max.unwrap_or(min)];
        if family != Some(Family::Ipv6) {
            ends = ends.map(plain_address);
        }
        let [min, max] = ends;
        let families = ends.map(Family::of);
        if family.is_some_and(|family| families != [family; 2]) {
            return Err(Error::invalid_input("NAT: an address of another family"));
        }
        let one_family = families[0] == families[1];
        match one_family && min <= max && ports.is_none_or(|(min, max)| min <= max) {
            true => Ok(Self { min, max, ports }),
            false => Err(Error::invalid_input("NAT: the range is empty")),
        }
    }
}
