//! The rules for the conditions that the kernel can compare, each with the first release in which
//! it holds.
//!
//! The rules come from the kernel's sources of 4.19 to 6.18, and the tests compare them with the
//! answers of the running kernel. They depend on the release. A distribution's kernel may have
//! backports, so that it could compare more than its release says, but never less. Probing would
//! not help: it works for status and tuples, for which the release is enough, and not for zones,
//! which older kernels silently ignore.

use std::net::Ipv4Addr;

use bitflags::bitflags;
use ipnet::IpNet;

use super::conditions::{Conditions, Ends};
use super::tuple::Side;
use super::{Filter, Ports, PrefixSet};
use crate::flow::{Family, Masked, Protocol, Status};
use crate::wire::uapi::{EINVAL, EOPNOTSUPP};

bitflags! {
    /// The conditions of a request that the kernel compared.
    ///
    /// The kernel does not send flows that do not meet them. User space compares all conditions of
    /// the filter again, including these. In a list, each condition is compared as described below;
    /// the socket filter of an event stream compares them on every kernel, and also compares
    /// prefixes, ranges, IPv6 addresses and both families. `Debug` names them;
    /// [`iter_names`](Self::iter_names) gives them one by one.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
    pub struct KernelFilter: u32 {
        /// The family, in every dump of the main table.
        const FAMILY = 1 << 0;
        /// The mark, under its mask (Linux 3.9). `CTA_MARK`, `CTA_MARK_MASK`.
        const MARK = 1 << 1;
        /// The status and the kind of NAT, under a mask (Linux 5.15). `CTA_STATUS`,
        /// `CTA_STATUS_MASK`.
        const STATUS = 1 << 2;
        /// The id of the zone (Linux 6.8). `CTA_ZONE`.
        const ZONE = 1 << 3;
        /// The protocol, in one family (Linux 5.8). `CTA_FILTER`, like all that follow.
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
    /// Writes the names, separated by commas; `none` if there are none.
    pub(crate) fn shown(self) -> String {
        let names: Vec<_> = self.iter_names().map(|(name, _)| name).collect();
        match names.is_empty() {
            true => "none".into(),
            false => names.join(","),
        }
    }
}

/// The conditions that a kernel compares in a dump of the main table, and in a flush. Every
/// supported kernel compares the family and a mark with its mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// `CTA_FILTER` and the tuples that go with it; ignored before.
    pub(crate) tuples: bool,
    /// `CTA_STATUS` and `CTA_STATUS_MASK`; ignored before.
    pub(crate) status: bool,
    /// `CTA_ZONE`; ignored before.
    pub(crate) zone: bool,
    /// `CTA_FILTER` in a flush, and with it all of the above. From 5.8 to 6.11, a flush with it is
    /// refused (EOPNOTSUPP); older kernels ignore it. (6.10 does not have it, 6.12 does.)
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
    /// The conditions of the filter that this kernel compares correctly in a dump of this family.
    ///
    /// It cannot compare `any_of`, `not`, prefixes, port ranges and labels.
    pub(crate) fn new(filter: &Filter, family: Option<Family>, can: Capabilities) -> Self {
        let filter = &filter.0;
        let mut pushed = Self {
            family,
            mark: filter.mark,
            status: filter.status.filter(|_| can.status),
            ..Self::default()
        };
        if can.zone {
            // The kernel compares only the id: that of one direction if it is not 0.
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

    /// The filter, if this kernel compares all of it in a flush of this family.
    ///
    /// Tuples are excluded: kernels before 6.11 treat a request with a tuple as the delete of one
    /// flow, and ignore the other conditions.
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

    /// Returns `true` if it compares the mark. A kernel that is built without marks silently
    /// ignores it.
    pub(crate) fn has_mark(&self) -> bool {
        self.mark.is_some()
    }

    /// The smaller filter to send after the kernel has refused this one, if there is one. Kernels
    /// without zones or marks refuse conditions that others compare.
    pub(crate) fn after_refusal(&self, errno: i32) -> Option<Self> {
        let less = Self {
            family: self.family,
            ..Self::default()
        };
        (matches!(errno, EINVAL | EOPNOTSUPP) && less != *self).then_some(less)
    }

    /// The conditions in this part.
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
    /// The addresses and ports, and the protocol if there are ports.
    fn new(ends: &Ends<'_>, protocol: Option<Protocol>) -> Self {
        // The kernel ignores the ports of other protocols.
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

    /// The ICMP fields, in the attributes of the version.
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

/// The address, if the kernel can compare it. It cannot compare prefixes. For an IPv6 address it
/// returns every flow except those with the address (5.8 to 6.18 at least).
fn single_v4(set: &PrefixSet) -> Option<Ipv4Addr> {
    match set.single()? {
        IpNet::V4(net) if net.prefix_len() == 32 => Some(net.addr()),
        _ => None,
    }
}
