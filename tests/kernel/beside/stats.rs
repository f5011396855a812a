//! Statistics: of the table, and of the CPUs.

use std::fs;

use ctnetlink::{CpuStats, StatsMeter};
use libtest_mimic::Trial;

use crate::common::{connect, fill};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["stats":
        how_many_flows_there_are,
        what_the_cpus_have_counted,
        a_meter_counts_between_two_samples,
    ]
}

async fn how_many_flows_there_are() {
    let handle = connect();
    assert_eq!(handle.stats().await.expect("statistics").entries, 0);
    fill(&handle, 7).await;
    let stats = handle.stats().await.expect("statistics");
    assert_eq!(stats.entries, 7);
    let max = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max");
    assert_eq!(stats.max, max.expect("a limit").trim().parse().ok());
    assert_eq!(stats.to_string(), "7");
}

/// The file has a header, and a line of hexadecimal numbers for each CPU that is online.
async fn what_the_cpus_have_counted() {
    let handle = connect();
    fill(&handle, 9).await;
    let stats = handle.cpu_stats().await.expect("counters");
    let total = CpuStats::total(&stats);
    assert_eq!(total.insert, Some(9));
    let file = fs::read_to_string("/proc/thread-self/net/stat/nf_conntrack");
    let file = file.expect("the kernel's own words");
    let mut lines = file
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let names = lines.next().expect("the names");
    let theirs: Vec<_> = lines.collect();
    let sum = |name: &str| -> Option<u64> {
        let column = names.iter().position(|known| *known == name)?;
        let counts = theirs
            .iter()
            .map(|line| u64::from_str_radix(line[column], 16).ok());
        counts.sum()
    };
    for (name, ours) in [
        ("found", total.found),
        ("invalid", total.invalid),
        ("insert", total.insert),
        ("insert_failed", total.insert_failed),
        ("drop", total.drop),
        ("early_drop", total.early_drop),
        ("icmp_error", total.error),
        ("search_restart", total.search_restart),
        ("clashres", total.clash_resolve),
        ("chaintoolong", total.chain_toolong),
    ] {
        if let (Some(ours), Some(theirs)) = (ours, sum(name)) {
            assert_eq!(ours, theirs, "{name} in {file}");
        }
    }
}

async fn a_meter_counts_between_two_samples() {
    let handle = connect();
    let mut meter = StatsMeter::new();
    let first = meter.update(&handle.cpu_stats().await.expect("counters"));
    fill(&handle, 5).await;
    let second = meter.update(&handle.cpu_stats().await.expect("counters"));
    assert_eq!(
        second.insert.expect("a count") - first.insert.expect("a count"),
        5
    );
}
