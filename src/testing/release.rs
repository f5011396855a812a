//! Releases of Linux as data: what each one knows, ignores, inverts and refuses.

/// A release: major and minor number.
pub(crate) type Version = (u16, u16);

/// The releases that are played: those in wide use, and those between which a request changes its
/// meaning.
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

/// What becomes of a flush with `CTA_FILTER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FilteredFlush {
    /// It is a flush of everything.
    Ignored,
    /// EOPNOTSUPP, and nothing is removed.
    Refused,
    /// What the filter matches is removed.
    Applied,
}

/// What a kernel does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Release {
    pub(super) version: Version,
    /// Is it built with marks, and with zones?
    pub(super) marks: bool,
    pub(super) zones: bool,
    /// `CTA_MAX`: attributes beyond it are skipped unseen.
    pub(super) last_attribute: u16,
    /// Does a mark count without its mask, and is a mask without its mark refused?
    pub(super) bare_mark: bool,
    /// Do filters by status count?
    pub(super) status_filter: bool,
    pub(super) zone_filter: bool,
    pub(super) tuple_filter: bool,
    /// Does it match the flows whose IPv6 addresses are others? Mended in 7.x and in some stable series:
    /// in Debian's 6.12, and not in its 6.1.
    pub(super) inverts_ipv6: bool,
    pub(super) filtered_flush: FilteredFlush,
    /// Does a flush of version 1 keep to its family?
    pub(super) flush_by_family: bool,
    /// Is the timeout of a flow with `IPS_FIXED_TIMEOUT` settled for ever?
    pub(super) fixed_timeout: bool,
    /// Can the helper of a flow be taken away?
    pub(super) takes_helpers: bool,
    /// Does a delete of an expectation compare the id that is shown? Not in Debian's 5.10; stable
    /// series have it mended since.
    pub(super) expectation_ids: bool,
    /// Are the values of numbers refused by the policies, with the kernel's words? Not in Debian's
    /// 5.10, which looks at a few of them itself; stable series do it since.
    pub(super) value_policies: bool,
    /// Do ends tell the timeout that was left and the protocol's state?
    pub(super) full_destroy: bool,
    /// Do protocols 33 and 136 have ports?
    pub(super) dccp: bool,
    pub(super) udplite: bool,
    /// `CTA_STATS_CLASH_RESOLVE` and `CTA_STATS_CHAIN_TOOLONG`.
    pub(super) last_counter: u16,
    /// Does a dump begin without a walk where the receive queue has no room for its datagram?
    pub(super) defers_dumps: bool,
    /// `CTA_TIMESTAMP_EVENT` in events.
    pub(super) event_time: bool,
    /// `nf_conntrack_events` where nobody has set it.
    pub(super) events: u8,
}

impl Release {
    pub(super) fn of(version: Version) -> Self {
        let since = |major, minor| version >= (major, minor);
        // Each line has the release that the rule holds from, the newest first.
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
            value_policies: since(5, 15),
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

    /// Has the protocol two ports, or keys as GRE has?
    pub(super) fn has_ports(&self, protocol: u8) -> bool {
        use crate::wire::uapi::*;
        match protocol {
            IPPROTO_TCP | IPPROTO_UDP | IPPROTO_SCTP | IPPROTO_GRE => true,
            IPPROTO_DCCP => self.dccp,
            IPPROTO_UDPLITE => self.udplite,
            _ => false,
        }
    }

    /// Does a translation change more than the addresses? Of GRE it does for PPTP alone.
    pub(super) fn translates_parts(&self, protocol: u8) -> bool {
        protocol != crate::wire::uapi::IPPROTO_GRE && self.has_parts(protocol)
    }

    /// Has it what a range of ports is compared with: ports, a key, an id?
    pub(super) fn has_parts(&self, protocol: u8) -> bool {
        use crate::wire::uapi::*;
        matches!(protocol, IPPROTO_ICMP | IPPROTO_ICMPV6) || self.has_ports(protocol)
    }
}

/// The release after which the rules of this crate's model are not known.
pub(super) const NEWEST: Version = (6, 18);
