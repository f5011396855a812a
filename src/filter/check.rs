//! What a filter may not ask.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Filter;
use super::conditions::{Conditions, Ends, Meet, NatKind};
use crate::error::{Error, Result};
use crate::flow::address::plain_net;
use crate::flow::tuple::has_ports;
use crate::flow::{Bits, Family, Masked};
use crate::wire::uapi::{IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP};

type Check<T = ()> = std::result::Result<T, String>;

impl Conditions {
    /// The filter, with all that its conditions imply.
    pub(super) fn checked(mut self) -> Result<Filter> {
        self.settle()
            .map(|()| Filter(self))
            .map_err(Error::invalid_input)
    }

    fn settle(&mut self) -> Check {
        if self.tcp_state.is_some() {
            imply("protocol", &mut self.protocol, IPPROTO_TCP, "tcp_state")?;
        }
        for (name, ends) in [("orig", &mut self.orig), ("reply", &mut self.reply)] {
            ends.settle(name, &mut self.family, self.protocol)?;
        }
        if self.icmp_type.is_some() || self.icmp_code.is_some() || self.icmp_id.is_some() {
            let family = match self.protocol {
                Some(IPPROTO_ICMP) => Family::Ipv4,
                Some(IPPROTO_ICMPV6) => Family::Ipv6,
                other => return Err(lacks("icmp", "ICMP fields", other)),
            };
            imply("family", &mut self.family, family, "icmp")?;
        }
        self.check_zones()?;
        full("mark", self.mark)?;
        full("labels", self.labels)?;
        full("status", self.status)?;
        if self.any_nat && self.status.is_some_and(NatKind::is_ruled_out) {
            return Err("nat: translated, and not translated".into());
        }
        self.check_filters()
    }

    /// A zone other than 0 is one for the whole flow: its directions cannot be in two.
    fn check_zones(&self) -> Check {
        let directed = || [self.orig_zone, self.reply_zone].into_iter().flatten();
        let mut known = self.zone;
        for id in directed().filter(|id| *id != 0) {
            imply("zone", &mut known, id, "the zone of a direction")?;
        }
        // In zone 0 both ways is in no other.
        if directed().filter(|id| *id == 0).count() == 2 && known.is_some_and(|id| id != 0) {
            return Err("zone: neither direction is in it".into());
        }
        Ok(())
    }

    fn check_filters(&self) -> Check {
        for filters in &self.any_of {
            if filters.is_empty() {
                return Err("any_of: of no filter; nothing would match".into());
            }
            if filters.iter().any(Filter::is_empty) {
                return Err("any_of: one of the filters is empty; it matches every flow".into());
            }
            if filters.iter().all(|filter| self.excludes(&filter.0)) {
                return Err("any_of: none is of the filter's family and protocol".into());
            }
        }
        match self.not.iter().any(Filter::is_empty) {
            true => Err("not: an empty filter; it matches every flow".into()),
            false => Ok(()),
        }
    }

    fn excludes(&self, other: &Self) -> bool {
        fn differ<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
            a.zip(b).is_some_and(|(a, b)| a != b)
        }
        differ(self.family, other.family) || differ(self.protocol, other.protocol)
    }
}

impl Ends {
    fn settle(&mut self, name: &str, family: &mut Option<Family>, protocol: Option<u8>) -> Check {
        for net in [&mut self.src, &mut self.dst].into_iter().flatten() {
            *net = plain_net(*net).trunc();
            imply("family", family, family_of(net), &format!("{name} address"))?;
        }
        for ports in self.ports() {
            if ports.is_empty() {
                return Err(format!("{name} port: the range is empty"));
            }
            if !protocol.is_some_and(has_ports) {
                return Err(lacks(&format!("{name} port"), "ports", protocol));
            }
        }
        Ok(())
    }
}

fn family_of(net: &IpNet) -> Family {
    match net.addr() {
        IpAddr::V4(_) => Family::Ipv4,
        IpAddr::V6(_) => Family::Ipv6,
    }
}

/// What `by` says goes into the slot, unless that says otherwise.
fn imply<T: Meet>(name: &str, slot: &mut Option<T>, value: T, by: &str) -> Check {
    match slot.map_or(Some(value), |old| old.meet(value)) {
        Some(both) => {
            *slot = Some(both);
            Ok(())
        }
        None => Err(format!("{name}: {slot:?}, and by its {by} {value:?}")),
    }
}

fn lacks(name: &str, what: &str, protocol: Option<u8>) -> String {
    match protocol {
        Some(protocol) => format!("{name}: protocol {protocol} has no {what}"),
        None => format!("{name}: name the protocol, for not every one has {what}"),
    }
}

fn full<T: Bits>(name: &str, masked: Option<Masked<T>>) -> Check {
    match masked {
        Some(masked) if masked.is_void() => Err(format!(
            "{name}: its mask has no bit, every flow would match"
        )),
        Some(masked) if masked.excess() != T::NONE => Err(format!(
            "{name}: its value has bits outside the mask, no flow would match"
        )),
        _ => Ok(()),
    }
}
