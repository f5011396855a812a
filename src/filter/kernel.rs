//! What the kernel may be asked to compare: the rules, each with the release that it holds from.
//!
//! The rules are from the kernel's sources of 4.19 to 6.18, and on the running kernel the tests hold
//! them against its answers. They go by the release, which a distribution's kernel may understate
//! (it then compares less than it could) and none overstates. Probing would tell no more: it can ask
//! for status and tuples, which the release tells as well, and not for zones, which older kernels
//! ignore in silence.

use std::net::Ipv4Addr;

use bitflags::bitflags;
use ipnet::IpNet;

use super::conditions::{Conditions, Ends};
use super::tuple::Side;
use super::{Filter, Ports, PrefixSet};
use crate::flow::{Family, Masked, Protocol, Status};
use crate::wire::uapi::{EINVAL, EOPNOTSUPP};

bitflags! {
    /// The conditions that a request had the kernel compare.
    ///
    /// The kernel does not send flows that do not meet them. User space compares all conditions of
    /// the filter, these too. In a list, each condition is compared as described below; the socket
    /// filter of an event stream compares them on every kernel, also with prefixes, ranges, IPv6 and
    /// both families. `Debug` names them; [`iter_names`](Self::iter_names) gives them one by one.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
    pub struct KernelFilter: u32 {
        /// The family: in every dump of the main table.
        const FAMILY = 1 << 0;
        /// The mark, under its mask (Linux 3.9). `CTA_MARK`, `CTA_MARK_MASK`.
        const MARK = 1 << 1;
        /// The status and the kind of NAT, under a mask (Linux 5.15). `CTA_STATUS`,
        /// `CTA_STATUS_MASK`.
        const STATUS = 1 << 2;
        /// The number of the zone (Linux 6.8). `CTA_ZONE`.
        const ZONE = 1 << 3;
        /// The protocol, in one family (Linux 5.8). `CTA_FILTER`, as all that follows.
        const PROTOCOL = 1 << 4;
        /// The original source: one IPv4 address.
        const ORIG_SRC = 1 << 5;
        /// The original destination: one IPv4 address.
        const ORIG_DST = 1 << 6;
        /// The source of the reply direction: one IPv4 address.
        const REPLY_SRC = 1 << 7;
        /// The destination of the reply direction: one IPv4 address.
        const REPLY_DST = 1 << 8;
        /// The original source port: one port of TCP or UDP.
        const ORIG_SRC_PORT = 1 << 9;
        /// The original destination port: one port of TCP or UDP.
        const ORIG_DST_PORT = 1 << 10;
        /// The source port of the reply direction: one port of TCP or UDP.
        const REPLY_SRC_PORT = 1 << 11;
        /// The destination port of the reply direction: one port of TCP or UDP.
        const REPLY_DST_PORT = 1 << 12;
        /// The ICMP type.
        const ICMP_TYPE = 1 << 13;
        /// The ICMP code.
        const ICMP_CODE = 1 << 14;
        /// The ICMP id.
        const ICMP_ID = 1 << 15;
        /// At least one of several filters: only for events.
        const ANY_OF = 1 << 16;
        /// A filter that must not match: only for events.
        const NOT = 1 << 17;
    }
}

#[cfg(feature = "serde")]
flags!(KernelFilter: u32);

impl KernelFilter {
    /// The names, with commas between; `none` where there is none.
    pub(crate) fn shown(self) -> String {
        let names: Vec<_> = self.iter_names().map(|(name, _)| name).collect();
        match names.is_empty() {
            true => "none".into(),
            false => names.join(","),
        }
    }
}

/// What a kernel compares in a dump of the main table, and in a flush. The family and a mark with its mask all do:
/// they are older than the oldest that is supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// `CTA_FILTER` and the tuples that go with it; ignored before.
    pub(crate) tuples: bool,
    /// `CTA_STATUS` and `CTA_STATUS_MASK`; ignored before.
    pub(crate) status: bool,
    /// `CTA_ZONE`; ignored before.
    pub(crate) zone: bool,
    /// `CTA_FILTER` in a flush, and with it all of the above. Before, from 5.8 on, a flush with it is
    /// refused (EOPNOTSUPP); older kernels ignore it. (6.12 is the oldest whose source has been
    /// read for it; 6.10 has it not.)
    pub(crate) flush: bool,
}

impl Capabilities {
    pub(crate) fn of(release: (u16, u16)) -> Self {
        Self {
            tuples: release >= (5, 8),
            status: release >= (5, 15),
            zone: release >= (6, 8),
            flush: release >= (6, 12),
        }
    }
}

/// The part of a filter that goes into a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RequestFilter {
    pub(super) family: Option<Family>,
    pub(super) mark: Option<Masked<u32>>,
    pub(super) status: Option<Masked<Status>>,
    pub(super) zone: Option<u16>,
    pub(super) orig: Side,
    pub(super) reply: Side,
}

impl RequestFilter {
    /// What of the filter such a kernel compares correctly in a dump of this family.
    ///
    /// `any_of` and `not` are beyond it, as are prefixes, ranges of ports and labels.
    pub(crate) fn new(filter: &Filter, family: Option<Family>, can: Capabilities) -> Self {
        let filter = &filter.0;
        let mut pushed = Self {
            family,
            mark: filter.mark,
            status: filter.status.filter(|_| can.status),
            ..Self::default()
        };
        if can.zone {
            // The kernel looks at the number alone: the zone of a direction, where it is not 0.
            let mut directed = [filter.orig_zone, filter.reply_zone].into_iter().flatten();
            pushed.zone = filter.zone.or_else(|| directed.find(|id| *id != 0));
        }
        // Without a family the kernel refuses tuples (EOPNOTSUPP).
        if can.tuples && family.is_some() {
            let [orig, reply] = filter.ends();
            pushed.orig = Side {
                protocol: filter.protocol.map(Protocol::number),
                ..Side::new(&orig, filter.protocol).with_icmp(filter)
            };
            pushed.reply = Side::new(&reply, filter.protocol);
        }
        pushed
    }

    /// The filter, where such a kernel compares the whole of it in a flush of this family.
    ///
    /// Tuples are left out of it: kernels before 6.11 take a request with one for the delete of a
    /// single flow, whatever the other conditions say.
    pub(crate) fn of_flush(
        filter: &Filter,
        family: Option<Family>,
        can: Capabilities,
    ) -> Option<Self> {
        let Conditions {
            mark, status, zone, ..
        } = filter.0;
        let compared = Conditions {
            family: filter.0.family,
            mark,
            status,
            zone,
            ..Conditions::default()
        };
        let whole = can.flush && can.status && can.zone && filter.0 == compared;
        whole.then(|| Self::new(filter, family, can))
    }

    /// Does it compare the mark? A kernel that is built without marks ignores it in silence.
    pub(crate) fn has_mark(&self) -> bool {
        self.mark.is_some()
    }

    /// What to ask for after a refusal, where less can be asked for: kernels are built without
    /// zones or marks, and refuse what others compare.
    pub(crate) fn after_refusal(&self, errno: i32) -> Option<Self> {
        let less = Self {
            family: self.family,
            ..Self::default()
        };
        (matches!(errno, EINVAL | EOPNOTSUPP) && less != *self).then_some(less)
    }

    /// The conditions in it.
    pub(crate) fn conditions(&self) -> KernelFilter {
        let ([orig, _], [_, reply]) = (self.orig.conditions(), self.reply.conditions());
        let whole = [
            (self.family.is_some(), KernelFilter::FAMILY),
            (self.mark.is_some(), KernelFilter::MARK),
            (self.status.is_some(), KernelFilter::STATUS),
            (self.zone.is_some(), KernelFilter::ZONE),
        ];
        let whole = whole.into_iter().filter(|(there, _)| *there);
        whole.fold(orig | reply, |all, (_, condition)| all | condition)
    }
}

impl Side {
    /// Its addresses and ports, and the protocol where it has ports.
    fn new(ends: &Ends<'_>, protocol: Option<Protocol>) -> Self {
        // Of other protocols the kernel ignores the ports.
        let compared = matches!(protocol, Some(Protocol::TCP | Protocol::UDP));
        let port = |ports: Option<Ports>| ports.filter(|_| compared)?.single();
        let (src_port, dst_port) = (port(ends.src_port), port(ends.dst_port));
        Self {
            src: ends.src.and_then(single_v4),
            dst: ends.dst.and_then(single_v4),
            protocol: protocol
                .filter(|_| src_port.or(dst_port).is_some())
                .map(Protocol::number),
            src_port,
            dst_port,
            ..Self::default()
        }
    }

    /// The fields of ICMP in the attributes of its version.
    fn with_icmp(mut self, filter: &Conditions) -> Self {
        let (kind, code, id) = match filter.protocol {
            Some(Protocol::ICMPV6) => (
                &mut self.icmpv6_type,
                &mut self.icmpv6_code,
                &mut self.icmpv6_id,
            ),
            _ => (&mut self.icmp_type, &mut self.icmp_code, &mut self.icmp_id),
        };
        (*kind, *code, *id) = (filter.icmp_type, filter.icmp_code, filter.icmp_id);
        self
    }
}

/// The address, where the kernel compares it: it takes no prefix, and of IPv6 it gives every flow
/// but those of the address (5.8 to 6.18 at least).
fn single_v4(set: &PrefixSet) -> Option<Ipv4Addr> {
    match set.single()? {
        IpNet::V4(net) if net.prefix_len() == 32 => Some(net.addr()),
        _ => None,
    }
}
