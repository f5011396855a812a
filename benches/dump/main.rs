//! Lists a mixed table: the crate compared with a bare receive loop, conntrack(8) and nlink.
//!
//! `cargo bench --bench dump -- --flows 1000000` (root, for more flows than `nf_conntrack_max`).
//! The last line is one JSON object with medians over the rounds. `wall_ratio_*` are relative to
//! the bare loop, on a current-thread and a multi-thread runtime. `rss_slow_mib` is measured with a
//! slow reader. `timer_late_p99_ms` is the worst of three: a list, a filtered list that matches
//! nothing, and a flush with concurrent requests on single flows.

#[path = "../common/mod.rs"]
mod common;
mod programs;
mod timer;

use common::args::Args;
use common::process;
use common::table::{Table, round};
use serde_json::json;

const RAW: &str = "raw receive loop";
const CURRENT: &str = "list, current thread";
const MULTI: &str = "list, multi-thread";
const SLOW: &str = "list, sleeping reader";
const COLLECTED: &str = "list, into a Vec";
const CONNTRACK: &str = "conntrack -L";
const NLINK: &str = "nlink stream";
const TIMER_IDLE: &str = "timer alone";
const TIMER_LIST: &str = "timer beside a list";
const TIMER_NOTHING: &str = "timer beside a filtered list";
const TIMER_FLUSH: &str = "timer beside a flush";

/// In the order of each round. The flush is last, because it empties the table.
const PROGRAMS: [&str; 11] = [
    RAW,
    CURRENT,
    MULTI,
    SLOW,
    COLLECTED,
    CONNTRACK,
    NLINK,
    TIMER_IDLE,
    TIMER_LIST,
    TIMER_NOTHING,
    TIMER_FLUSH,
];

fn main() {
    let args = Args::read(20_000);
    if let Some(name) = &args.program {
        process::begin();
        process::say(programs::run(name, args.flows));
        return;
    }
    let _limits = common::prepare(args.flows);
    let table = common::in_namespace(move || measure(args.flows, args.rounds));
    print(&table);
    println!("{}", summary(&table, args.flows));
}

fn measure(flows: usize, rounds: usize) -> Table {
    let mut table = Table::new(&PROGRAMS);
    for number in 1..=rounds {
        eprintln!("round {number} of {rounds}: {flows} flows");
        common::fill::fill(flows);
        for name in PROGRAMS {
            if let Some(run) = process::run(name, flows) {
                check(name, run.count, flows);
                table.add(name, run);
            }
        }
    }
    table
}

/// A program that misses flows is not comparable.
fn check(name: &str, count: usize, flows: usize) {
    let expected = match name {
        TIMER_IDLE | TIMER_NOTHING | TIMER_FLUSH => 0,
        _ => flows,
    };
    assert_eq!(count, expected, "flows that {name} saw");
}

fn print(table: &Table) {
    println!(
        "{:<28}{:>9}{:>8}{:>9}{:>9}{:>10}{:>10}",
        "", "wall s", "x raw", "user s", "sys s", "RSS MiB", "late ms"
    );
    for row in table.rows.iter().filter(|row| !row.runs.is_empty()) {
        let name = row.name;
        let late = table.median(name, |run| run.late.unwrap_or(f64::NAN));
        let late = match late.is_nan() {
            true => String::new(),
            false => format!("{late:.2}"),
        };
        println!(
            "{name:<28}{:>9.3}{:>8.3}{:>9.3}{:>9.3}{:>10.2}{late:>10}",
            table.median(name, |run| run.wall),
            table.ratio(name, RAW, |run| run.wall),
            table.median(name, |run| run.user),
            table.median(name, |run| run.system),
            table.median(name, |run| run.rss),
        );
    }
}

fn summary(table: &Table, flows: usize) -> serde_json::Value {
    let wall = |name| round(table.ratio(name, RAW, |run| run.wall), 3);
    let rss = |name| table.median(name, |run| run.rss);
    let late = |name| table.median(name, |run| run.late.unwrap_or(f64::NAN));
    let collected = (rss(COLLECTED) - rss(CURRENT)) * 1024.0 * 1024.0 / flows as f64;
    let latest = [TIMER_LIST, TIMER_NOTHING, TIMER_FLUSH].map(late);
    json!({
        "bench": "dump",
        "flows": flows,
        "wall_ratio_ct": wall(CURRENT),
        "wall_ratio_mt": wall(MULTI),
        "user_s": round(table.median(CURRENT, |run| run.user), 3),
        "rss_mib": round(rss(CURRENT), 2),
        "rss_slow_mib": round(rss(SLOW), 2),
        "vec_bytes_per_flow": round(collected, 1),
        "timer_late_p99_ms": round(latest.into_iter().fold(f64::NAN, f64::max), 2),
    })
}
