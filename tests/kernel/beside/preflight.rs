//! Preflight: what it finds on the running kernel.

use std::fs;

use ctnetlink::{Check, ConntrackHandle, KernelFilter, Preflight, Severity};
use libtest_mimic::Trial;

use crate::common::{connect, fill};
use crate::support::namespace::sysctl;
use crate::support::{nft, release};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["preflight":
        it_says_what_the_settings_say,
        it_sees_the_rule_that_sets_labels,
        it_counts_the_flows,
        it_tells_why_a_table_is_empty,
        it_changes_nothing,
        another_namespace_is_looked_at_there,
    ]
}

async fn preflight(handle: &ConntrackHandle) -> Preflight {
    handle.preflight().await.expect("what is here")
}

#[track_caller]
fn found(preflight: &Preflight, check: Check, severity: Severity) {
    let finding = preflight.finding(check).expect("a finding");
    assert_eq!(finding.severity, severity, "{finding}");
}

async fn it_says_what_the_settings_say() {
    let handle = connect();
    let first = preflight(&handle).await;
    let facts = &first.facts;
    assert_eq!((facts.allowed, facts.ctnetlink), (Some(true), Some(true)));
    assert_eq!(
        (facts.accounting, facts.timestamps),
        (Some(true), Some(true))
    );
    assert_eq!(facts.events, Some(1));
    let text = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_buckets");
    assert_eq!(facts.buckets, text.expect("a setting").trim().parse().ok());
    assert!(
        facts
            .list_filter
            .contains(KernelFilter::FAMILY | KernelFilter::MARK)
    );
    assert!(facts.release >= (4, 19));
    for check in [
        Check::Ctnetlink,
        Check::Accounting,
        Check::Timestamps,
        Check::Events,
    ] {
        found(&first, check, Severity::Ok);
    }
    for (setting, value, check, severity) in [
        ("nf_conntrack_acct", "0", Check::Accounting, Severity::Note),
        (
            "nf_conntrack_timestamp",
            "0",
            Check::Timestamps,
            Severity::Note,
        ),
        ("nf_conntrack_events", "0", Check::Events, Severity::Warning),
        ("nf_conntrack_events", "2", Check::Events, Severity::Note),
        (
            "nf_conntrack_tcp_be_liberal",
            "1",
            Check::TcpLiberal,
            Severity::Note,
        ),
        (
            "nf_conntrack_tcp_loose",
            "0",
            Check::TcpLoose,
            Severity::Note,
        ),
    ] {
        if (setting, value) == ("nf_conntrack_events", "2") && !release::has_events_for_listeners()
        {
            assert!(sysctl(setting, value).is_err());
            continue;
        }
        sysctl(setting, value).expect("a setting");
        let now = preflight(&handle).await;
        found(&now, check, severity);
        let told = now.finding(check).expect("a finding").to_string();
        assert!(told.contains(setting), "{told}");
    }
    let policies = handle.timeouts().list().await.is_ok();
    assert_eq!(facts.cttimeout, Some(policies));
    match handle.user_helpers().list().await {
        Ok(_) => assert_eq!(facts.cthelper, Some(true)),
        Err(error) if error.is_permission_denied() => assert_eq!(facts.cthelper, None),
        Err(_) => found(&first, Check::CtHelper, Severity::Note),
    }
}

async fn it_sees_the_rule_that_sets_labels() {
    let handle = connect();
    assert_eq!(preflight(&handle).await.facts.labels, Some(false));
    // This rule makes the kernel track, and does not use labels.
    let _other = nft::track().expect("a rule");
    let without = preflight(&handle).await;
    assert_eq!(without.facts.labels, Some(false));
    found(&without, Check::Labels, Severity::Note);
    let rule = nft::labels().expect("a rule");
    let with = preflight(&handle).await;
    assert_eq!(with.facts.labels, Some(true));
    found(&with, Check::Labels, Severity::Ok);
    rule.delete().expect("no rule");
    assert_eq!(preflight(&handle).await.facts.labels, Some(false));
}

async fn it_counts_the_flows() {
    let handle = connect();
    fill(&handle, 3).await;
    let preflight = preflight(&handle).await;
    assert_eq!(preflight.facts.stats, handle.stats().await.ok());
    let limit = preflight.finding(Check::Limit).expect("a finding");
    assert!(limit.text.starts_with("3 flows of "), "{limit}");
}

/// It looks at the hooks if the kernel reports them, and otherwise at the flows.
async fn it_tells_why_a_table_is_empty() {
    let handle = connect();
    let checks = [Check::TrackingIpv4, Check::TrackingIpv6];
    let empty = preflight(&handle).await;
    for check in checks {
        found(&empty, check, Severity::Warning);
        let cure = empty
            .finding(check)
            .and_then(|finding| finding.cure.as_ref());
        assert!(cure.is_some_and(|cure| cure.contains("ct state")));
    }
    let _rule = nft::track().expect("a rule");
    fill(&handle, 1).await;
    let tracked = preflight(&handle).await;
    let due = match tracked.facts.tracks_ipv4 {
        Some(true) => Severity::Ok,
        Some(false) => panic!("it tracks, and was not seen to"),
        None => Severity::Note,
    };
    for check in checks {
        found(&tracked, check, due);
    }
}

async fn it_changes_nothing() {
    let settings = || -> Vec<_> {
        let files = fs::read_dir("/proc/sys/net/netfilter").expect("settings");
        let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        files.sort();
        files
            .iter()
            .map(|file| fs::read_to_string(file).ok())
            .collect()
    };
    let handle = connect();
    fill(&handle, 2).await;
    let before = (settings(), handle.cpu_stats().await.expect("counters"));
    preflight(&handle).await;
    assert_eq!(
        (settings(), handle.cpu_stats().await.expect("counters")),
        before
    );
    assert_eq!(handle.timeouts().list().await.ok().unwrap_or_default(), []);
}

/// /proc shows the settings of the reading thread's namespace.
async fn another_namespace_is_looked_at_there() {
    let elsewhere = crate::common::namespace();
    let options = ctnetlink::Options::new().network_namespace(&elsewhere);
    let handle = options.connect().await.expect("a connection");
    let preflight = preflight(&handle).await;
    assert_eq!(preflight.facts.accounting, Some(false));
    let default = match release::has_events_for_listeners() {
        true => 2,
        false => 1,
    };
    assert_eq!(preflight.facts.events, Some(default));
    assert_eq!(
        connect().preflight().await.expect("here").facts.accounting,
        Some(true)
    );
}
