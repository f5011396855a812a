//! Derives the findings from the facts.

use super::{Check, Facts, Finding, Severity};
use crate::filter::KernelFilter;

/// The percentage of the limit from which on the number of flows is a finding.
const NEAR: u64 = 90;

/// Flows per bucket. The kernel's own default is one, and each additional flow makes every lookup
/// longer.
const CROWDED: u64 = 4;

/// The default receive queue of events.
const EVENTS_WANT: u64 = 8 * 1024 * 1024;

type Verdict = (Severity, String, Option<String>);

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let empty = facts.stats.map(|stats| stats.entries == 0);
    [
        (Check::Right, right(facts)),
        (Check::Ctnetlink, ctnetlink(facts.ctnetlink)),
        (
            Check::CtTimeout,
            subsystem(facts.cttimeout, "timeout policies", "nfnetlink_cttimeout"),
        ),
        (
            Check::CtHelper,
            subsystem(
                facts.cthelper,
                "helpers in user space",
                "nfnetlink_cthelper",
            ),
        ),
        (
            Check::TrackingIpv4,
            tracking("IPv4", facts.tracks_ipv4, empty),
        ),
        (
            Check::TrackingIpv6,
            tracking("IPv6", facts.tracks_ipv6, empty),
        ),
        (
            Check::Accounting,
            switch(facts.accounting, "counters", "nf_conntrack_acct"),
        ),
        (
            Check::Timestamps,
            switch(facts.timestamps, "timestamps", "nf_conntrack_timestamp"),
        ),
        (Check::Events, events(facts.events)),
        (Check::Labels, labels(facts.labels)),
        (Check::ReceiveBuffer, receive_buffer(facts.rmem_max)),
        (Check::Limit, limit(facts)),
        (Check::Buckets, buckets(facts)),
        (Check::TcpLiberal, tcp_liberal(facts.tcp_be_liberal)),
        (Check::TcpLoose, tcp_loose(facts.tcp_loose)),
        (Check::Filters, filters(facts)),
        (Check::Kernel, kernel(facts.release)),
    ]
    .into_iter()
    .map(|(check, (severity, text, cure))| Finding {
        check,
        severity,
        text,
        cure,
    })
    .collect()
}

fn ok(text: impl Into<String>) -> Verdict {
    (Severity::Ok, text.into(), None)
}

fn note(text: impl Into<String>, cure: Option<&str>) -> Verdict {
    (Severity::Note, text.into(), cure.map(str::to_owned))
}

fn warning(text: impl Into<String>, cure: &str) -> Verdict {
    (Severity::Warning, text.into(), Some(cure.into()))
}

fn unreadable(setting: &str) -> Verdict {
    note(format!("{setting} cannot be read"), None)
}

fn right(facts: &Facts) -> Verdict {
    match (facts.allowed, facts.initial_user_namespace) {
        (Some(false), _) => (
            Severity::Error,
            "requests are not allowed: CAP_NET_ADMIN is missing in the user namespace that owns \
             the network namespace"
                .into(),
            Some(
                "run as root, give the program CAP_NET_ADMIN (setcap, systemd's \
                 AmbientCapabilities), or run it in namespaces of its own (unshare -Urn)"
                    .into(),
            ),
        ),
        (None, _) => note("it is not known whether requests are allowed", None),
        (Some(true), Some(false)) => note(
            "requests are allowed, in a user namespace that is not the initial one: only root of the \
             machine can change the limit and the size of the table, and helpers in user space",
            None,
        ),
        (Some(true), _) => ok("requests are allowed"),
    }
}

fn ctnetlink(there: Option<bool>) -> Verdict {
    match there {
        Some(true) => ok("the kernel has ctnetlink"),
        Some(false) => (
            Severity::Error,
            "the kernel has no ctnetlink".into(),
            Some("load the module nf_conntrack_netlink (CONFIG_NF_CT_NETLINK)".into()),
        ),
        None => note("it is not known whether the kernel has ctnetlink", None),
    }
}

fn subsystem(there: Option<bool>, what: &str, module: &str) -> Verdict {
    match there {
        Some(true) => ok(format!("the kernel has {what}")),
        Some(false) => note(
            format!("the kernel has no {what}"),
            Some(&format!(
                "load the module {module}, if the kernel was built with it"
            )),
        ),
        None => note(
            format!("it is not known whether the kernel has {what}"),
            None,
        ),
    }
}

fn tracking(family: &str, tracks: Option<bool>, empty: Option<bool>) -> Verdict {
    let cure = "add a rule that needs connection tracking, such as nft 'add table inet t; add chain \
                inet t c { type filter hook prerouting priority 0; }; add rule inet t c ct state \
                invalid counter'";
    match (tracks, empty) {
        (Some(true), _) => ok(format!("{family} is tracked")),
        (Some(false), _) => warning(
            format!(
                "{family} is not tracked: no rule of the namespace needs connection tracking (this \
                 check does not see Open vSwitch and tc, which track without such a rule)"
            ),
            cure,
        ),
        (None, Some(false)) => note(
            format!(
                "there are flows, but it is not known whether {family} is tracked (the kernel has no \
                 nfnetlink_hook)"
            ),
            None,
        ),
        (None, _) => warning(
            format!(
                "there are no flows, and it is not known whether {family} is tracked (the kernel has \
                 no nfnetlink_hook): maybe no rule of the namespace needs connection tracking"
            ),
            cure,
        ),
    }
}

fn switch(on: Option<bool>, what: &str, setting: &str) -> Verdict {
    match on {
        Some(true) => ok(format!("new flows have {what} ({setting} is 1)")),
        Some(false) => note(
            format!("flows have no {what} ({setting} is 0)"),
            Some(&format!(
                "sysctl -w net.netfilter.{setting}=1; flows that begin then have them"
            )),
        ),
        None => unreadable(setting),
    }
}

fn events(mode: Option<u8>) -> Verdict {
    match mode {
        Some(0) => warning(
            "there are no events (nf_conntrack_events is 0)",
            "sysctl -w net.netfilter.nf_conntrack_events=1; flows that begin then have events",
        ),
        Some(1) => ok("new flows have events (nf_conntrack_events is 1)"),
        Some(2) => note(
            "flows that began before any program listened have no events (nf_conntrack_events is 2)",
            Some(
                "for events of every flow: sysctl -w net.netfilter.nf_conntrack_events=1, before \
                 they begin",
            ),
        ),
        Some(other) => note(
            format!("nf_conntrack_events is {other}: an unknown value"),
            None,
        ),
        None => unreadable("nf_conntrack_events"),
    }
}

fn labels(set: Option<bool>) -> Verdict {
    match set {
        Some(true) => ok("new flows have room for labels: a rule sets them"),
        Some(false) => note(
            "no rule of nftables sets labels: without one, new flows have no room for them (this \
             check does not see rules of iptables-legacy, Open vSwitch and tc)",
            Some(
                "nft 'add table inet l; add chain inet l c; add rule inet l c ct label set 0': the \
                 chain need not be hooked; flows that begin then have room",
            ),
        ),
        None => note(
            "it is not known whether a rule sets labels: the kernel has no nftables",
            None,
        ),
    }
}

fn receive_buffer(rmem_max: Option<u64>) -> Verdict {
    match rmem_max {
        Some(bytes) if bytes < EVENTS_WANT => note(
            format!(
                "net.core.rmem_max is {bytes}, less than the {EVENTS_WANT} bytes of receive queue that \
                 a stream of events asks for: without the right to exceed it, more events are lost \
                 in a burst"
            ),
            Some(&format!("sysctl -w net.core.rmem_max={EVENTS_WANT}")),
        ),
        Some(bytes) => ok(format!("net.core.rmem_max is {bytes}: enough for events")),
        None => unreadable("net.core.rmem_max"),
    }
}

fn limit(facts: &Facts) -> Verdict {
    let Some((entries, max)) = facts
        .stats
        .and_then(|stats| Some((stats.entries, stats.max?)))
    else {
        return note("the limit of flows is not known", None);
    };
    if max == 0 {
        return ok(format!(
            "{entries} flows, and no limit (nf_conntrack_max is 0)"
        ));
    }
    let text = format!("{entries} flows of at most {max} (nf_conntrack_max)");
    match u64::from(entries) * 100 >= u64::from(max) * NEAR {
        true => warning(
            format!("{text}: packets of new flows are dropped when it is reached"),
            "raise net.netfilter.nf_conntrack_max and nf_conntrack_buckets with it, or lower the \
             timeouts (handle.timeouts().set_defaults)",
        ),
        false => ok(text),
    }
}

fn buckets(facts: &Facts) -> Verdict {
    let Some(buckets) = facts.buckets else {
        return unreadable("nf_conntrack_buckets");
    };
    let entries = facts.stats.map_or(0, |stats| stats.entries);
    let text = format!("{entries} flows in a table of {buckets} buckets (nf_conntrack_buckets)");
    match u64::from(entries) > buckets.saturating_mul(CROWDED) {
        true => warning(
            format!("{text}: lookups are slow, and new flows may be refused"),
            "raise net.netfilter.nf_conntrack_buckets in the initial network namespace",
        ),
        false => ok(text),
    }
}

fn tcp_liberal(liberal: Option<bool>) -> Verdict {
    match liberal {
        Some(true) => note(
            "TCP packets outside of the window belong to their flow \
             (nf_conntrack_tcp_be_liberal is 1)",
            None,
        ),
        Some(false) => ok("TCP packets outside of the window are invalid"),
        None => unreadable("nf_conntrack_tcp_be_liberal"),
    }
}

fn tcp_loose(loose: Option<bool>) -> Verdict {
    match loose {
        Some(true) => ok("TCP connections are picked up in the middle"),
        Some(false) => note(
            "TCP connections that began before they were tracked are invalid \
             (nf_conntrack_tcp_loose is 0)",
            None,
        ),
        None => unreadable("nf_conntrack_tcp_loose"),
    }
}

fn filters(facts: &Facts) -> Verdict {
    let names = |filter: KernelFilter| {
        let names = filter
            .iter_names()
            .map(|(name, _)| name)
            .collect::<Vec<_>>();
        names.join(", ")
    };
    ok(format!(
        "the kernel compares in a list: {}; in a flush: {}. The crate compares the rest",
        names(facts.list_filter),
        names(facts.flush_filter),
    ))
}

fn kernel(release: (u16, u16)) -> Verdict {
    let (major, minor) = release;
    let text = format!("Linux {major}.{minor}");
    if release < (4, 19) {
        return warning(
            format!("{text} is older than the oldest supported release"),
            "Linux 4.19 or later",
        );
    }
    let mut follows = Vec::new();
    for (from, what) in [
        ((5, 10), "clash_resolve is counted"),
        ((5, 15), "chain_toolong is counted"),
        ((6, 14), "events have the time at which they happened"),
        ((6, 17), "DCCP has no ports"),
        ((7, 3), "UDP-Lite has no ports"),
    ] {
        if release >= from {
            follows.push(what);
        }
    }
    match follows.is_empty() {
        true => ok(text),
        false => ok(format!("{text}: {}", follows.join("; "))),
    }
}
