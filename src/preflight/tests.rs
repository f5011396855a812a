use std::collections::BTreeSet;

use super::*;
use crate::stats::TableStats;

/// A machine without a problem.
fn fine() -> Facts {
    Facts {
        release: (6, 18),
        allowed: Some(true),
        initial_user_namespace: Some(true),
        ctnetlink: Some(true),
        cttimeout: Some(true),
        cthelper: Some(true),
        tracks_ipv4: Some(true),
        tracks_ipv6: Some(true),
        stats: Some(TableStats {
            entries: 10,
            max: Some(1000),
        }),
        labels: Some(true),
        accounting: Some(true),
        timestamps: Some(true),
        events: Some(1),
        rmem_max: Some(8 << 20),
        buckets: Some(1000),
        tcp_be_liberal: Some(false),
        tcp_loose: Some(true),
        list_filter: KernelFilter::all(),
        flush_filter: KernelFilter::MARK,
    }
}

#[test]
fn where_nothing_is_amiss_all_is_well() {
    let preflight = Preflight::new(fine());
    assert_eq!(preflight.severity(), Severity::Ok, "{preflight}");
    let checks: BTreeSet<_> = preflight
        .findings
        .iter()
        .map(|finding| finding.check)
        .collect();
    assert_eq!((checks.len(), preflight.findings.len()), (17, 17));
    assert!(
        preflight
            .findings
            .iter()
            .all(|finding| finding.cure.is_none())
    );
}

#[test]
fn each_fault_is_found_by_its_check_alone() {
    type Fault = fn(&mut Facts);
    let stats = |facts: &mut Facts, entries| {
        facts.stats = Some(TableStats {
            entries,
            max: Some(1000),
        });
    };
    let faults: [(Check, Severity, &str, Fault); 15] = [
        (Check::Right, Severity::Error, "CAP_NET_ADMIN", |it| {
            it.allowed = Some(false)
        }),
        (Check::Right, Severity::Note, "not the initial one", |it| {
            it.initial_user_namespace = Some(false);
        }),
        (Check::Ctnetlink, Severity::Error, "no ctnetlink", |it| {
            it.ctnetlink = Some(false)
        }),
        (Check::CtTimeout, Severity::Note, "timeout", |it| {
            it.cttimeout = Some(false)
        }),
        (Check::CtHelper, Severity::Note, "helpers", |it| {
            it.cthelper = Some(false)
        }),
        (
            Check::TrackingIpv4,
            Severity::Warning,
            "IPv4 is not",
            |it| {
                it.tracks_ipv4 = Some(false);
            },
        ),
        (
            Check::TrackingIpv6,
            Severity::Warning,
            "IPv6 is not",
            |it| {
                it.tracks_ipv6 = Some(false);
            },
        ),
        (Check::Accounting, Severity::Note, "counters", |it| {
            it.accounting = Some(false)
        }),
        (Check::Timestamps, Severity::Note, "timestamps", |it| {
            it.timestamps = Some(false)
        }),
        (Check::Events, Severity::Warning, "no events", |it| {
            it.events = Some(0)
        }),
        (
            Check::Events,
            Severity::Note,
            "before any program listened",
            |it| it.events = Some(2),
        ),
        (Check::Labels, Severity::Note, "room", |it| {
            it.labels = Some(false)
        }),
        (Check::ReceiveBuffer, Severity::Note, "212992", |it| {
            it.rmem_max = Some(212_992)
        }),
        (Check::TcpLiberal, Severity::Note, "window", |it| {
            it.tcp_be_liberal = Some(true)
        }),
        (Check::TcpLoose, Severity::Note, "began before", |it| {
            it.tcp_loose = Some(false)
        }),
    ];
    let mut unlimited = fine();
    unlimited.stats = Some(TableStats::new(7, 0));
    let limit = Preflight::new(unlimited);
    let limit = limit.finding(Check::Limit).expect("the finding");
    assert_eq!(limit.severity, Severity::Ok, "{limit}");
    assert!(limit.text.contains("no limit"), "{limit}");
    let found = |facts: Facts, check, severity, word: &str| {
        let preflight = Preflight::new(facts);
        for finding in &preflight.findings {
            match finding.check == check {
                true => assert_eq!(finding.severity, severity, "{finding}"),
                false => assert_eq!(finding.severity, Severity::Ok, "{finding}"),
            }
        }
        let finding = preflight.finding(check).expect("the finding");
        assert!(finding.text.contains(word), "{finding}");
        assert_eq!(preflight.severity(), severity);
    };
    for (check, severity, word, fault) in faults {
        let mut facts = fine();
        fault(&mut facts);
        found(facts, check, severity, word);
    }
    let mut full = fine();
    stats(&mut full, 900);
    found(
        full,
        Check::Limit,
        Severity::Warning,
        "900 flows of at most 1000",
    );
    let mut crowded = fine();
    crowded.buckets = Some(2);
    found(
        crowded,
        Check::Buckets,
        Severity::Warning,
        "10 flows in a table of 2",
    );
    let mut old = fine();
    old.release = (4, 14);
    found(old, Check::Kernel, Severity::Warning, "4.14");
}

/// "Why is my table empty?"
#[test]
fn an_empty_table_that_cannot_be_explained_is_told_so() {
    let mut facts = fine();
    (facts.tracks_ipv4, facts.tracks_ipv6) = (None, None);
    let preflight = Preflight::new(facts.clone());
    assert_eq!(
        preflight.finding(Check::TrackingIpv4).unwrap().severity,
        Severity::Note
    );
    facts.stats = Some(TableStats {
        entries: 0,
        max: None,
    });
    let preflight = Preflight::new(facts);
    let finding = preflight.finding(Check::TrackingIpv4).unwrap();
    assert_eq!(finding.severity, Severity::Warning);
    assert!(
        finding.cure.as_ref().unwrap().contains("ct state"),
        "{finding}"
    );
}

/// Without /proc, and without any answer.
#[test]
fn what_is_not_known_is_a_note() {
    let preflight = Preflight::new(Facts {
        release: (6, 18),
        ..Facts::default()
    });
    for finding in &preflight.findings {
        let known = [Check::Filters, Check::Kernel].contains(&finding.check);
        let empty = [Check::TrackingIpv4, Check::TrackingIpv6].contains(&finding.check);
        let due = match (known, empty) {
            (true, _) => Severity::Ok,
            (_, true) => Severity::Warning,
            _ => Severity::Note,
        };
        assert_eq!(finding.severity, due, "{finding}");
    }
}

#[test]
fn people_read_the_worst_first_with_its_cure() {
    let mut facts = fine();
    facts.ctnetlink = Some(false);
    facts.accounting = Some(false);
    let text = Preflight::new(facts).to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "[error]   ctnetlink: the kernel has no ctnetlink");
    assert!(
        lines[1].starts_with("          cure: load the module"),
        "{text}"
    );
    assert!(
        lines[2].starts_with("[note]    accounting: flows have no counters"),
        "{text}"
    );
    assert_eq!(lines.len(), 19);
}
