//! The mirror: its first sync compared with a bare receive loop, its memory, the time for an event,
//! a reader during a storm of changes, and whether it is equal to the table after a storm.
//!
//! `cargo bench --bench mirror -- --flows 1000000` (root, for more flows than `nf_conntrack_max`
//! and for large queues). The last line is one JSON object with medians over the rounds.
//! `apply_ns_per_event` is the time of the mirror for a queued event, minus the time of
//! `handle.events()`, which is `event_ns`. `bytes_per_flow` is the peak memory after the first
//! sync, minus that of a list of the same table. `reader_get_ns` is the median of many batches of
//! lookups while marks change as fast as the kernel can.
//!
//! `storm_differences` is the sum over all storms. In a storm, flows begin, change and end for 10 s
//! as fast as the kernel can (`storm_per_s`), and the mirror, with the kernel's default queue,
//! loses events again and again. Then it has 5 s to be in sync, and is compared with a list, by all
//! attributes except timeouts and counters. There are 10 storms, or `CTNETLINK_STORMS`.

mod apply;
#[path = "../common/mod.rs"]
mod common;
mod compare;
mod quiet;
mod reader;
mod storm;
mod sync;

use common::args::Args;
use common::process::{self, Outcome};
use common::support::namespace;
use common::table::{Table, round};
use serde_json::json;

const RAW: &str = "raw receive loop";
const LIST: &str = "list";
const SYNC: &str = "first sync";
const EVENTS: &str = "events, EventStream";
const APPLY: &str = "events, mirror";
const READER: &str = "reader beside a storm";
const STORM: &str = "storms";

/// In the order of each round. The later programs fill the table themselves.
const ON_A_TABLE: [&str; 3] = [RAW, LIST, SYNC];
const ON_THEIR_OWN: [&str; 3] = [EVENTS, APPLY, READER];

/// The maximum number of flows whose events wait in a queue, and of flows in a storm.
const MOST_EVENTS: usize = 100_000;
const MOST_IN_STORM: usize = 20_000;

fn main() {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        // This process is a helper that changes the table.
        [apply::CHANGE, which, flows] => return apply::change(which, number(flows)),
        [storm::CHANGER, flows] => return storm::run_changer(number(flows)),
        _ => {}
    }
    let args = Args::read(20_000);
    if let Some(name) = &args.program {
        process::begin();
        process::say(Some(run(name, args.flows)));
        return;
    }
    let _limits = common::prepare(args.flows);
    let table = common::in_namespace(move || measure(args.flows, args.rounds));
    print(&table);
    println!("{}", summary(&table, args.flows));
}

fn number(word: &str) -> usize {
    word.parse().expect("a number of flows")
}

fn run(name: &str, flows: usize) -> Outcome {
    match name {
        RAW => sync::raw(),
        LIST => sync::list(),
        SYNC => sync::first(),
        EVENTS => apply::stream(flows),
        APPLY => apply::mirror(flows),
        READER => reader::beside_a_storm(flows),
        STORM => quiet::storms(flows),
        _ => panic!("{name} is not a program of this bench"),
    }
}

fn measure(flows: usize, rounds: usize) -> Table {
    let mut table = Table::new(&[RAW, LIST, SYNC, EVENTS, APPLY, READER, STORM]);
    let mut add = |name, flows| {
        let run = process::run(name, flows).expect("a run");
        if ON_A_TABLE.contains(&name) {
            assert_eq!(run.count, flows, "flows that {name} saw");
        }
        table.add(name, run);
    };
    for number in 1..=rounds {
        eprintln!("round {number} of {rounds}: {flows} flows");
        // Flows are left from the storm of the reader's program.
        common::raw::Raw::open().flush();
        common::fill::fill(flows);
        ON_A_TABLE.into_iter().for_each(|name| add(name, flows));
        common::raw::Raw::open().flush();
        namespace::sysctl("nf_conntrack_events", "1").expect("the setting of the namespace");
        let few = flows.min(MOST_EVENTS);
        ON_THEIR_OWN.into_iter().for_each(|name| add(name, few));
        namespace::sysctl("nf_conntrack_events", "0").expect("the setting of the namespace");
    }
    namespace::sysctl("nf_conntrack_events", "1").expect("the setting of the namespace");
    add(STORM, flows.min(MOST_IN_STORM));
    table
}

/// Nanoseconds per item that the program counts.
fn each(table: &Table, name: &str) -> f64 {
    table.median(name, |run| run.wall * 1e9 / run.count as f64)
}

fn bytes_per_flow(table: &Table, flows: usize) -> f64 {
    let rss = |name| table.median(name, |run| run.rss);
    (rss(SYNC) - rss(LIST)) * 1024.0 * 1024.0 / flows as f64
}

fn print(table: &Table) {
    println!(
        "{:<28}{:>12}{:>9}{:>10}{:>9}{:>9}",
        "", "count", "wall s", "ns each", "user s", "RSS MiB"
    );
    for row in &table.rows {
        let name = row.name;
        println!(
            "{name:<28}{:>12}{:>9.3}{:>10.1}{:>9.3}{:>9.1}",
            table.median(name, |run| run.count as f64),
            table.median(name, |run| run.wall),
            each(table, name),
            table.median(name, |run| run.user),
            table.median(name, |run| run.rss),
        );
    }
}

fn summary(table: &Table, flows: usize) -> serde_json::Value {
    let sync = table.ratio(SYNC, RAW, |run| run.wall);
    let storms = table.median(STORM, |run| run.count as f64 / run.wall);
    let differences = table.median(STORM, |run| run.lost.unwrap_or(f64::NAN));
    json!({
        "bench": "mirror",
        "flows": flows,
        "apply_ns_per_event": round(each(table, APPLY) - each(table, EVENTS), 0),
        "event_ns": round(each(table, EVENTS), 0),
        "sync_1m_ratio": round(sync, 3),
        "bytes_per_flow": round(bytes_per_flow(table, flows), 1),
        "reader_get_ns": round(each(table, READER), 0),
        "storm_per_s": round(storms, 0),
        "storm_differences": round(differences, 0),
    })
}
