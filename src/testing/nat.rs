//! NAT for a new flow. The kernel derives it from the inverse of the reply tuple.

use std::ops::RangeInclusive;

use super::attrs::{self, Attrs};
use super::entry::*;
use super::machine::Machine;
use super::release::Release;
use super::tuple::Tuple;
use crate::wire::uapi::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Source,
    Destination,
}

/// `nf_nat_range2`: the requested addresses and ports.
#[derive(Debug, Clone, Default)]
struct Range {
    addresses: Option<RangeInclusive<[u8; 16]>>,
    ports: Option<RangeInclusive<u16>>,
}

impl Machine {
    /// `ctnetlink_setup_nat`: one of the two attributes sets up both.
    pub(super) fn set_up_nat(&self, flow: &mut Entry, given: &Attrs<'_>) -> Result<(), i32> {
        if !given.has(CTA_NAT_SRC) && !given.has(CTA_NAT_DST) {
            return Ok(());
        }
        for (side, kind) in [
            (Side::Destination, CTA_NAT_DST),
            (Side::Source, CTA_NAT_SRC),
        ] {
            let range = match given.nest(kind, attrs::NAT)? {
                Some(nest) => Range::parse(&nest, flow.family())?,
                None => Range::null(flow, side),
            };
            self.translate(flow, side, &range);
        }
        Ok(())
    }

    /// `nf_nat_setup_info`.
    fn translate(&self, flow: &mut Entry, side: Side, range: &Range) {
        let current = flow.tuples[1].inverse();
        let new = self.unique(flow, current, side, range);
        let (changed, done) = match side {
            Side::Source => (SRC_NAT, SRC_NAT_DONE),
            Side::Destination => (DST_NAT, DST_NAT_DONE),
        };
        if new != current {
            flow.tuples[1] = new.inverse();
            flow.status |= changed;
        }
        flow.status |= done;
    }

    /// `get_unique_tuple`. Where the kernel chooses a random port, this chooses the first.
    fn unique(&self, flow: &Entry, current: Tuple, side: Side, range: &Range) -> Tuple {
        let is_free = |tuple: &Tuple| {
            let taken = self.table.find(&tuple.inverse(), flow.zone).is_some();
            let found = &self.cpus.counting().found;
            found.set(found.get().wrapping_add(taken.into()));
            !taken
        };
        if side == Side::Source {
            if range.has(&self.release, &current) {
                if is_free(&current) {
                    return current;
                }
            } else if let Some(mapped) = self.mapped(flow, current, range).filter(is_free) {
                return mapped;
            }
        }
        let mut tuple = current;
        if let Some(addresses) = &range.addresses {
            *side.address(&mut tuple) = *addresses.start();
        }
        match &range.ports {
            Some(ports) => {
                let own = *side.part(&mut tuple);
                let fits = ports.contains(&own) || !self.release.translates_parts(tuple.protocol);
                if fits && (ports.start() == ports.end() || is_free(&tuple)) {
                    return tuple;
                }
            }
            None if is_free(&tuple) => return tuple,
            None => {}
        }
        let ports = match (&range.ports, side) {
            _ if !self.release.translates_parts(tuple.protocol) => return tuple,
            (Some(ports), _) => ports.clone(),
            (None, Side::Destination) => return tuple,
            (None, Side::Source) => match tuple.src_part {
                _ if tuple.protocol == IPPROTO_ICMP || tuple.protocol == IPPROTO_ICMPV6 => {
                    0..=u16::MAX
                }
                0..512 => 1..=511,
                512..1024 => 600..=1023,
                _ => 1024..=u16::MAX,
            },
        };
        for port in ports {
            *side.part(&mut tuple) = port;
            if is_free(&tuple) {
                break;
            }
        }
        tuple
    }

    /// The tuple that the same source is already translated to (`find_appropriate_src`).
    fn mapped(&self, flow: &Entry, current: Tuple, range: &Range) -> Option<Tuple> {
        let same = |other: &&Entry| {
            let orig = &other.tuples[0];
            let source = |tuple: &Tuple| (tuple.protocol, tuple.src, tuple.src_part);
            other.status & SRC_NAT_DONE != 0
                && source(orig) == source(&current)
                && other.zone.in_direction(0) == flow.zone.in_direction(0)
        };
        self.table.iter().filter(same).find_map(|other| {
            let translated = other.tuples[1].inverse();
            let tuple = Tuple {
                src: translated.src,
                src_part: translated.src_part,
                ..current
            };
            range.has(&self.release, &tuple).then_some(tuple)
        })
    }
}

impl Side {
    fn address(self, tuple: &mut Tuple) -> &mut [u8; 16] {
        match self {
            Self::Source => &mut tuple.src,
            Self::Destination => &mut tuple.dst,
        }
    }

    fn part(self, tuple: &mut Tuple) -> &mut u16 {
        match (self, tuple.protocol) {
            (Self::Source, _) | (_, IPPROTO_ICMP | IPPROTO_ICMPV6) => &mut tuple.src_part,
            (Self::Destination, _) => &mut tuple.dst_part,
        }
    }
}

impl Range {
    fn parse(given: &Attrs<'_>, family: u8) -> Result<Self, i32> {
        let mut range = Self::default();
        let (min, max) = match family {
            AF_INET => (CTA_NAT_V4_MINIP, CTA_NAT_V4_MAXIP),
            _ => (CTA_NAT_V6_MINIP, CTA_NAT_V6_MAXIP),
        };
        let address = |kind| {
            let bytes = given.get(kind)?;
            let mut address = [0; 16];
            let len = if family == AF_INET { 4 } else { 16 };
            address[..len].copy_from_slice(bytes.get(..len)?);
            Some(address)
        };
        if let Some(min) = address(min) {
            range.addresses = Some(min..=address(max).unwrap_or(min));
        }
        if let Some(proto) = given.nest(CTA_NAT_PROTO, attrs::NAT_PROTO)? {
            let min = proto.u16(CTA_PROTONAT_PORT_MIN);
            let max = proto.u16(CTA_PROTONAT_PORT_MAX);
            if let Some(end) = max.or(min) {
                range.ports = Some(min.unwrap_or(0)..=end);
            }
        }
        Ok(range)
    }

    /// The unchanged addresses, so that the tuple after the other translation is unique too
    /// (`__nf_nat_alloc_null_binding`).
    fn null(flow: &Entry, side: Side) -> Self {
        let reply = &flow.tuples[1];
        let address = match side {
            Side::Source => reply.dst,
            Side::Destination => reply.src,
        };
        Self {
            addresses: Some(address..=address),
            ports: None,
        }
    }

    /// `nf_in_range`, for the source.
    fn has(&self, release: &Release, tuple: &Tuple) -> bool {
        let address = self
            .addresses
            .as_ref()
            .is_none_or(|it| it.contains(&tuple.src));
        let port = self
            .ports
            .as_ref()
            .is_none_or(|it| it.contains(&tuple.src_part));
        address && (port || !release.has_parts(tuple.protocol))
    }
}
