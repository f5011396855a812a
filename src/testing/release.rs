//! Releases of Linux as data: what each release supports, ignores, inverts and refuses.

/// A release: major and minor number.
pub(crate) type Version = (u16, u16);

/// The tested releases: those in wide use, and those where the meaning of a request changes.
pub(crate) const RELEASES: [Version; 16] = [
    (4, 19),
    (5, 2),
    (5, 3),
    (5, 4),
    (5, 8),
    (5, 10),
    (5, 15),
    (6, 1),
    (6, 6),
    (6, 8),
    (6, 10),
    (6, 11),
    (6, 12),
    (6, 14),
    (6, 18),
    (7, 3),
];

/// The effect of a flush with `CTA_FILTER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FilteredFlush {
    /// It removes everything.
    Ignored,
    /// EOPNOTSUPP, and nothing is removed.
    Refused,
    /// It removes the flows that match the filter.
    Applied,
}

/// The behaviour of a kernel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Release {
    pub(super) version: Version,
    /// Is it built with marks, and with zones?
    pub(super) marks: bool,
    pub(super) zones: bool,
    /// `CTA_MAX`: attributes beyond it are skipped.
    pub(super) last_attribute: u16,
    /// Is a mark without a mask compared, and a mask without a mark refused?
    pub(super) bare_mark: bool,
    /// Are filters by status applied?
    pub(super) status_filter: bool,
    pub(super) zone_filter: bool,
    pub(super) tuple_filter: bool,
    /// Does a filter match the flows with other IPv6 addresses? Fixed in 7.x and in some stable series:
    /// in Debian's 6.12, but not in its 6.1.
    pub(super) inverts_ipv6: bool,
    pub(super) filtered_flush: FilteredFlush,
    /// Does a flush of version 1 compare the family?
    pub(super) flush_by_family: bool,
    /// Does a request fail to change the timeout of a flow with `IPS_FIXED_TIMEOUT`?
    pub(super) fixed_timeout: bool,
    /// Can the helper of a flow be removed?
    pub(super) takes_helpers: bool,
    /// Does a delete of an expectation compare the reported id? Not in Debian's 5.10, but later
    /// releases of the stable series have the fix.
    pub(super) expectation_ids: bool,
    /// Is the class of a new expectation one of the master's helper? Older releases use 0 unless the
    /// request names the helper too. Not in Debian's 5.10, but later releases of the other stable
    /// series have the fix.
    pub(super) expectation_classes: bool,
    /// Do the attribute policies check values of numbers? Not in Debian's 5.10, which checks only a few
    /// itself, but later releases of the stable series do.
    pub(super) value_policies: bool,
    /// Does a change of default timeouts fail if it names no family?
    pub(super) wants_family_of_defaults: bool,
    /// Do end events contain the remaining timeout and the state of the protocol?
    pub(super) full_destroy: bool,
    /// Do protocols 33 and 136 have ports?
    pub(super) dccp: bool,
    pub(super) udplite: bool,
    /// `CTA_STATS_CLASH_RESOLVE` and `CTA_STATS_CHAIN_TOOLONG`.
    pub(super) last_counter: u16,
    /// Does a dump begin without a walk if the receive queue has no room for its datagram?
    pub(super) defers_dumps: bool,
    /// `CTA_TIMESTAMP_EVENT` in events.
    pub(super) event_time: bool,
    /// The default of `nf_conntrack_events`.
    pub(super) events: u8,
}

impl Release {
    pub(super) fn of(version: Version) -> Self {
        let since = |major, minor| version >= (major, minor);
        // Each line has the first release with the rule, the newest first.
        Self {
            version,
            marks: true,
            zones: true,
            last_attribute: match () {
                _ if since(6, 14) => 27,
                _ if since(5, 15) => 26,
                _ if since(5, 8) => 25,
                _ => 24,
            },
            bare_mark: since(5, 8),
            status_filter: since(5, 15),
            zone_filter: since(6, 8),
            tuple_filter: since(5, 8),
            inverts_ipv6: !since(7, 0) && version != (6, 12),
            filtered_flush: match () {
                _ if since(6, 11) => FilteredFlush::Applied,
                _ if since(5, 8) => FilteredFlush::Refused,
                _ => FilteredFlush::Ignored,
            },
            flush_by_family: since(5, 3),
            fixed_timeout: since(6, 0),
            takes_helpers: !since(7, 3),
            expectation_ids: since(5, 15),
            expectation_classes: since(5, 15),
            value_policies: since(5, 15),
            wants_family_of_defaults: !since(6, 6),
            full_destroy: since(5, 11),
            dccp: !since(6, 17),
            udplite: !since(7, 0),
            last_counter: match () {
                _ if since(5, 15) => 15,
                _ if since(5, 10) => 14,
                _ => 13,
            },
            defers_dumps: since(6, 1),
            event_time: since(6, 14),
            events: if since(5, 19) { 2 } else { 1 },
        }
    }

    /// Reads `6.18`, or what `uname -r` prints.
    pub(super) fn parse(text: &str) -> Option<Version> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit());
        let version = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
        (version >= RELEASES[0]).then_some(version)
    }

    /// Does the protocol have ports, or keys like GRE?
    pub(super) fn has_ports(&self, protocol: u8) -> bool {
        use crate::wire::uapi::*;
        match protocol {
            IPPROTO_TCP | IPPROTO_UDP | IPPROTO_SCTP | IPPROTO_GRE => true,
            IPPROTO_DCCP => self.dccp,
            IPPROTO_UDPLITE => self.udplite,
            _ => false,
        }
    }

    /// Does NAT change more than the addresses? For GRE, only PPTP does that.
    pub(super) fn translates_parts(&self, protocol: u8) -> bool {
        protocol != crate::wire::uapi::IPPROTO_GRE && self.has_parts(protocol)
    }

    /// Does it have a field that a range of ports applies to: ports, a key or an id?
    pub(super) fn has_parts(&self, protocol: u8) -> bool {
        use crate::wire::uapi::*;
        matches!(protocol, IPPROTO_ICMP | IPPROTO_ICMPV6) || self.has_ports(protocol)
    }
}

/// The newest release whose rules this model knows.
pub(super) const NEWEST: Version = (6, 18);
