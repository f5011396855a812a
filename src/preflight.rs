//! Preflight: what is missing on this machine, and the cure.

mod judge;

use crate::filter::KernelFilter;
use crate::stats::TableStats;

/// What was found on this machine: see [`ConntrackHandle::preflight`](crate::ConntrackHandle::preflight).
///
/// `Display` is for people: one line per finding, the worst first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Preflight {
    /// The facts that the kernel reported; unknown facts are `None`.
    pub facts: Facts,
    /// The findings: one for every [`Check`].
    pub findings: Vec<Finding>,
}

/// Facts about the kernel and the handle's network namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// The kernel's release, for example 6.18; 0.0 if it cannot be parsed.
    pub release: (u16, u16),
    /// Whether requests are allowed.
    pub allowed: Option<bool>,
    /// Whether the program is in the initial user namespace.
    pub initial_user_namespace: Option<bool>,
    /// Whether the kernel has ctnetlink.
    pub ctnetlink: Option<bool>,
    /// Whether the kernel has timeout policies (cttimeout).
    pub cttimeout: Option<bool>,
    /// Whether the kernel has helpers in user space (cthelper).
    pub cthelper: Option<bool>,
    /// Whether `nf_conntrack`'s hook is registered for IPv4. `None` if the kernel lacks
    /// nfnetlink_hook.
    pub tracks_ipv4: Option<bool>,
    /// Whether `nf_conntrack`'s hook is registered for IPv6. `None` if the kernel lacks
    /// nfnetlink_hook.
    pub tracks_ipv6: Option<bool>,
    /// The number of flows, and its limit.
    pub stats: Option<TableStats>,
    /// Whether a rule of nftables sets labels. Rules of iptables-legacy, Open vSwitch and tc are
    /// not seen.
    pub labels: Option<bool>,
    /// `nf_conntrack_acct`: whether new flows have counters.
    pub accounting: Option<bool>,
    /// `nf_conntrack_timestamp`: whether new flows have timestamps.
    pub timestamps: Option<bool>,
    /// `nf_conntrack_events`: 0 is never, 1 is always, 2 is for flows that begin while a program
    /// listens.
    pub events: Option<u8>,
    /// `net.core.rmem_max`: the largest receive queue, in bytes.
    pub rmem_max: Option<u64>,
    /// `nf_conntrack_buckets`: the size of the hash table, which all namespaces share.
    pub buckets: Option<u64>,
    /// `nf_conntrack_tcp_be_liberal`: whether a TCP packet outside of the window belongs to its
    /// flow.
    pub tcp_be_liberal: Option<bool>,
    /// `nf_conntrack_tcp_loose`: whether a TCP flow is picked up in the middle.
    pub tcp_loose: Option<bool>,
    /// The conditions that the kernel compares in a list.
    pub list_filter: KernelFilter,
    /// The conditions that the kernel compares in a flush.
    pub flush_filter: KernelFilter,
}

#[cfg(feature = "serde")]
keyed! {
    Facts;
    [release: (u16, u16),]
    [
        allowed: Option<bool>,
        initial_user_namespace: Option<bool>,
        ctnetlink: Option<bool>,
        cttimeout: Option<bool>,
        cthelper: Option<bool>,
        tracks_ipv4: Option<bool>,
        tracks_ipv6: Option<bool>,
        stats: Option<TableStats>,
        labels: Option<bool>,
        accounting: Option<bool>,
        timestamps: Option<bool>,
        events: Option<u8>,
        rmem_max: Option<u64>,
        buckets: Option<u64>,
        tcp_be_liberal: Option<bool>,
        tcp_loose: Option<bool>,
        list_filter: KernelFilter,
        flush_filter: KernelFilter,
    ]
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What was checked.
    pub check: Check,
    /// How bad it is.
    pub severity: Severity,
    /// What was found, in words.
    pub text: String,
    /// What to do about it, if anything.
    pub cure: Option<String>,
}

#[cfg(feature = "serde")]
keyed! {
    Finding;
    [check: Check, severity: Severity, text: String,]
    [cure: Option<String>,]
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Severity {
    /// Everything is as it should be.
    Ok,
    /// Worth knowing: a request may do less than expected.
    Note,
    /// Most programs will not work as expected.
    Warning,
    /// Nothing works.
    Error,
}

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Check {
    /// The right to make requests, and its user namespace.
    Right,
    /// ctnetlink.
    Ctnetlink,
    /// Timeout policies.
    #[cfg_attr(feature = "serde", serde(rename = "cttimeout"))]
    CtTimeout,
    /// Helpers in user space.
    #[cfg_attr(feature = "serde", serde(rename = "cthelper"))]
    CtHelper,
    /// Whether flows of IPv4 are tracked at all.
    TrackingIpv4,
    /// Whether flows of IPv6 are tracked at all.
    TrackingIpv6,
    /// Counters of new flows.
    Accounting,
    /// Timestamps of new flows.
    Timestamps,
    /// Events.
    Events,
    /// Room for labels in new flows.
    Labels,
    /// The receive queue that events need.
    ReceiveBuffer,
    /// The number of flows against the limit.
    Limit,
    /// The number of flows against the size of the hash table.
    Buckets,
    /// How strictly TCP is followed.
    TcpLiberal,
    /// Whether TCP is picked up in the middle.
    TcpLoose,
    /// The conditions of a filter that the kernel compares.
    Filters,
    /// The kernel's release, and its limitations.
    Kernel,
}

impl Finding {
    /// Creates a finding without a cure; [`cure`](field@Self::cure) can be set.
    pub fn new(check: Check, severity: Severity, text: impl Into<String>) -> Self {
        Self {
            check,
            severity,
            text: text.into(),
            cure: None,
        }
    }
}

impl Preflight {
    /// The findings that follow from the facts.
    pub fn new(facts: Facts) -> Self {
        let findings = judge::findings(&facts);
        Self { facts, findings }
    }

    /// The finding of a check.
    pub fn finding(&self, check: Check) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.check == check)
    }

    /// The worst of the findings.
    pub fn severity(&self) -> Severity {
        let severities = self.findings.iter().map(|finding| finding.severity);
        severities.max().unwrap_or(Severity::Ok)
    }
}

#[cfg(test)]
mod tests;
