//! Compares a filter with a flow.

use super::conditions::{Conditions, Ends};
use super::{NatKind, PrefixSet};
use crate::flow::{Flow, IcmpEcho, ProtoInfo, Tuple, Zone, ZoneDirection};

impl Conditions {
    pub(super) fn matches(&self, flow: &Flow) -> bool {
        let [orig, reply] = self.ends();
        self.family.is_none_or(|family| family == flow.family())
            && self.protocol.is_none_or(|it| it == flow.orig.protocol())
            && self
                .mark
                .is_none_or(|it| it.matches(flow.mark.unwrap_or(0)))
            && self.status.is_none_or(|it| it.matches(flow.status))
            && self.zone.is_none_or(|id| id == flow.zone.id())
            && orig.matches(&flow.orig)
            && reply.matches(&flow.reply)
            && self.matches_icmp(flow.orig.icmp_echo())
            && self.matches_rest(flow)
    }

    /// The conditions that the kernel never compares, or only in part.
    fn matches_rest(&self, flow: &Flow) -> bool {
        let (orig_zone, reply_zone) = zones(flow.zone);
        self.orig_zone.is_none_or(|id| id == orig_zone)
            && self.reply_zone.is_none_or(|id| id == reply_zone)
            && self
                .labels
                .is_none_or(|it| it.matches(flow.labels.unwrap_or_default()))
            && self.matches_state(flow)
            && (!self.any_nat || NatKind::is_any(flow.status))
            && (!self.has_helper || flow.helper().is_some())
            && holds(
                self.helper.as_deref(),
                flow.helper().map(|helper| &*helper.name),
            )
            && (!self.has_master || flow.master().is_some())
            && holds(self.master.as_ref(), flow.master())
            && self
                .any_of
                .iter()
                .all(|filters| filters.iter().any(|filter| filter.matches(flow)))
            && !self.not.iter().any(|filter| filter.matches(flow))
    }

    fn matches_state(&self, flow: &Flow) -> bool {
        let (mut tcp, mut sctp, mut dccp) = (None, None, None);
        match &flow.protoinfo {
            Some(ProtoInfo::Tcp(info)) => tcp = Some(info.state),
            Some(ProtoInfo::Sctp(info)) => sctp = Some(info.state),
            Some(ProtoInfo::Dccp(info)) => dccp = Some(info.state),
            _ => {}
        }
        holds(self.tcp_state, tcp) && holds(self.sctp_state, sctp) && holds(self.dccp_state, dccp)
    }

    fn matches_icmp(&self, echo: Option<IcmpEcho>) -> bool {
        holds(self.icmp_type, echo.map(|echo| echo.kind()))
            && holds(self.icmp_code, echo.map(|echo| echo.code()))
            && holds(self.icmp_id, echo.map(|echo| echo.id()))
    }
}

impl Ends<'_> {
    fn matches(&self, tuple: &Tuple) -> bool {
        let within = |set: Option<&PrefixSet>, address| set.is_none_or(|set| set.contains(address));
        within(self.src, tuple.src())
            && within(self.dst, tuple.dst())
            && [
                (self.src_port, tuple.src_port()),
                (self.dst_port, tuple.dst_port()),
            ]
            .into_iter()
            .all(|(ports, port)| {
                ports.is_none_or(|ports| port.is_some_and(|port| ports.contains(port)))
            })
    }
}

/// A condition on an attribute that a flow may not have.
fn holds<T: PartialEq>(condition: Option<T>, value: Option<T>) -> bool {
    condition.is_none() || condition == value
}

/// The zones in which packets of each direction are looked up.
fn zones(zone: Zone) -> (u16, u16) {
    match zone.direction() {
        ZoneDirection::Both => (zone.id(), zone.id()),
        ZoneDirection::Orig => (zone.id(), 0),
        ZoneDirection::Reply => (0, zone.id()),
    }
}
