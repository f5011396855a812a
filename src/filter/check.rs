//! Checks a filter for contradictions.

use super::conditions::{Conditions, ROWS};
use super::meet::Meet;
use super::{Filter, NatKind, PrefixSet};
use crate::error::{Error, Result};
use crate::flow::tuple::has_ports;
use crate::flow::{Family, Protocol};

/// The maximum depth of nested filters, which are walked by recursion.
pub(super) const DEPTH: usize = 32;

type Check<T = ()> = std::result::Result<T, String>;

impl Conditions {
    /// The filter, with the conditions that its conditions imply.
    pub(super) fn checked(mut self) -> Result<Filter> {
        self.settle()
            .map(|()| Filter(self))
            .map_err(Error::invalid_input)
    }

    fn settle(&mut self) -> Check {
        for row in ROWS {
            if let Some(why) = (row.refusal)(self) {
                return Err(format!("{}: {why}", row.name));
            }
        }
        for (by, there, protocol) in [
            ("tcp_state", self.tcp_state.is_some(), Protocol::TCP),
            ("sctp_state", self.sctp_state.is_some(), Protocol::SCTP),
            ("dccp_state", self.dccp_state.is_some(), Protocol::DCCP),
        ] {
            if there {
                imply("protocol", &mut self.protocol, protocol, by)?;
            }
        }
        if let Some(master) = &self.master {
            imply("family", &mut self.family, master.family(), "master")?;
        }
        self.settle_ends()?;
        if self.icmp_type.is_some() || self.icmp_code.is_some() || self.icmp_id.is_some() {
            let family = match self.protocol {
                Some(Protocol::ICMP) => Family::Ipv4,
                Some(Protocol::ICMPV6) => Family::Ipv6,
                other => return Err(lacks("icmp", "ICMP fields", other)),
            };
            imply("family", &mut self.family, family, "icmp")?;
        }
        self.check_zones()?;
        if self.any_nat && self.status.is_some_and(NatKind::is_ruled_out) {
            return Err("nat: it requires and excludes translation".into());
        }
        self.check_filters()
    }

    /// Addresses imply a family. Ports need a protocol.
    fn settle_ends(&mut self) -> Check {
        let addresses = [
            ("orig_src", &self.orig_src),
            ("orig_dst", &self.orig_dst),
            ("reply_src", &self.reply_src),
            ("reply_dst", &self.reply_dst),
        ];
        for (name, set) in addresses {
            if let Some(of) = set.as_ref().and_then(PrefixSet::family) {
                imply("family", &mut self.family, of, name)?;
            }
        }
        let ports = [
            ("orig_src_port", self.orig_src_port),
            ("orig_dst_port", self.orig_dst_port),
            ("reply_src_port", self.reply_src_port),
            ("reply_dst_port", self.reply_dst_port),
        ];
        let has_ports = |protocol: Protocol| has_ports(protocol.number());
        match ports.into_iter().find(|(_, ports)| ports.is_some()) {
            Some((name, _)) if !self.protocol.is_some_and(has_ports) => {
                Err(lacks(name, "ports", self.protocol))
            }
            _ => Ok(()),
        }
    }

    /// A flow has one zone, so its directions cannot have different zones other than 0.
    fn check_zones(&self) -> Check {
        let directed = || [self.orig_zone, self.reply_zone].into_iter().flatten();
        let mut known = self.zone;
        for id in directed().filter(|id| *id != 0) {
            imply("zone", &mut known, id, "the zone of a direction")?;
        }
        // If both directions are in zone 0, the flow is in no other zone.
        if directed().filter(|id| *id == 0).count() == 2 && known.is_some_and(|id| id != 0) {
            return Err(
                "zone: both directions are in zone 0, so the flow cannot be in another zone".into(),
            );
        }
        Ok(())
    }

    fn check_filters(&self) -> Check {
        if self.depth() > DEPTH {
            return Err(format!("filters are nested more than {DEPTH} deep"));
        }
        for filters in &self.any_of {
            if filters.is_empty() {
                return Err("any_of: the list is empty, so nothing would match".into());
            }
            if filters.iter().any(Filter::is_empty) {
                return Err("any_of: one of the filters is empty, and matches every flow".into());
            }
            if filters.iter().all(|filter| self.excludes(&filter.0)) {
                return Err("any_of: no filter has the family and protocol of this filter".into());
            }
        }
        match self.not.iter().any(Filter::is_empty) {
            true => Err("not: the filter is empty, and matches every flow".into()),
            false => Ok(()),
        }
    }

    /// The depth of nested filters, including this one. Each nested filter was checked before, so
    /// the recursion is bounded.
    fn depth(&self) -> usize {
        let inner = self.any_of.iter().flatten().chain(&self.not);
        1 + inner.map(|filter| filter.0.depth()).max().unwrap_or(0)
    }

    fn excludes(&self, other: &Self) -> bool {
        fn differ<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
            a.zip(b).is_some_and(|(a, b)| a != b)
        }
        differ(self.family, other.family) || differ(self.protocol, other.protocol)
    }
}

/// Fills the slot from `by`. Fails if the slot has another value.
fn imply<T: Meet>(name: &str, slot: &mut Option<T>, value: T, by: &str) -> Check {
    let both = match slot.as_ref() {
        None => value,
        Some(old) => old.meet(&value).ok_or_else(|| {
            let (old, value) = (old.shown(), value.shown());
            format!("{name}: it is {old}, but {by} implies {value}")
        })?,
    };
    *slot = Some(both);
    Ok(())
}

fn lacks(name: &str, what: &str, protocol: Option<Protocol>) -> String {
    match protocol {
        Some(protocol) => format!("{name}: protocol {protocol} has no {what}"),
        None => format!("{name}: set the protocol, because not every protocol has {what}"),
    }
}
