//! Receives events: the crate compared with a bare `recvmmsg` loop, nlink and conntrack(8).
//!
//! `cargo bench --bench events -- --flows 100000` (root, for so large a queue). The last line is
//! one JSON object with medians over the rounds. `drain_per_s` is the rate for `--flows` events
//! that wait in the queue, with every attribute decoded, on a current-thread runtime.
//! `raw_recvmmsg_per_s` is the rate of a loop that receives and counts them. `live_per_s` and
//! `live_lost` are measured with a generator that changes marks as fast as the kernel can, and the
//! queue of 8 MiB that the crate asks for. With the kernel's default queue, the received and the
//! lost events must add up to those that were sent. `instructions_per_event` is counted by
//! callgrind (needs valgrind).
//!
//! `nlink_per_s` is there only if the bench was built with `RUSTFLAGS="--cfg ctnetlink_peers"`. It
//! is an error if the queue cannot be made large enough for all events (without root). conntrack(8)
//! 1.4.7 uses the default queue, because its `-b` has no effect on the socket of events.

#[path = "../instructions/callgrind.rs"]
mod callgrind;
#[path = "../common/mod.rs"]
mod common;
mod live;
mod programs;
mod queued;

use common::args::Args;
use common::process;
use common::support::namespace;
use common::table::{Table, round};
use serde_json::json;

const RAW: &str = "drain, recvmmsg loop";
const DRAIN: &str = "drain, EventStream";
const NLINK: &str = "drain, nlink";
const LIVE: &str = "live, 8 MiB";
const LIVE_DEFAULT: &str = "live, default queue";
const CONNTRACK: &str = "live, conntrack -E";

/// In the order of each round.
const PROGRAMS: [&str; 6] = [RAW, DRAIN, NLINK, LIVE, LIVE_DEFAULT, CONNTRACK];

/// The number of events in the two runs, whose difference is counted.
const COUNTED: [usize; 2] = [1000, 5000];

fn main() {
    // This process under callgrind, or a generator.
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        [callgrind::PROGRAM, name, flows] => {
            let flows = flows.parse().expect("a number of events");
            programs::run(name, flows).expect("a program of this bench");
            return;
        }
        [live::GENERATE, rounds] => {
            live::generate(rounds.parse().expect("a number of rounds"));
            return;
        }
        [queued::CREATE, flows] => {
            queued::create(flows.parse().expect("a number of flows"));
            return;
        }
        _ => {}
    }
    let args = Args::read(20_000);
    if let Some(name) = &args.program {
        process::begin();
        process::say(programs::run(name, args.flows));
        return;
    }
    let _limits = common::prepare(args.flows);
    let (table, instructions) = common::in_namespace(move || {
        namespace::sysctl("nf_conntrack_events", "1").expect("the setting of the namespace");
        (measure(args.flows, args.rounds), instructions())
    });
    print(&table);
    println!("{}", summary(&table, instructions));
}

fn measure(flows: usize, rounds: usize) -> Table {
    let mut table = Table::new(&PROGRAMS);
    for number in 1..=rounds {
        eprintln!("round {number} of {rounds}: {flows} events");
        for name in PROGRAMS {
            if let Some(run) = process::run(name, flows) {
                if [RAW, DRAIN, NLINK].contains(&name) {
                    assert_eq!(run.count, flows, "events that {name} saw");
                }
                table.add(name, run);
            }
        }
    }
    table
}

/// The instructions per event in user space, from the socket to the `Event`.
fn instructions() -> u64 {
    eprintln!("instructions");
    let [few, many] = COUNTED.map(|events| callgrind::count(DRAIN, events));
    let count = many.saturating_sub(few) as f64 / (COUNTED[1] - COUNTED[0]) as f64;
    assert!(count >= 1.0, "{DRAIN} did nothing");
    count.round() as u64
}

fn per_second(table: &Table, name: &str) -> f64 {
    table.median(name, |run| run.count as f64 / run.wall)
}

fn lost(table: &Table, name: &str) -> f64 {
    table.median(name, |run| run.lost.unwrap_or(f64::NAN))
}

fn print(table: &Table) {
    println!(
        "{:<28}{:>12}{:>12}{:>12}{:>9}",
        "", "received", "lost", "per s", "user s"
    );
    for row in table.rows.iter().filter(|row| !row.runs.is_empty()) {
        let name = row.name;
        println!(
            "{name:<28}{:>12}{:>12}{:>12.0}{:>9.3}",
            table.median(name, |run| run.count as f64),
            lost(table, name),
            per_second(table, name),
            table.median(name, |run| run.user),
        );
    }
    println!(
        "drained: {:.3} x the recvmmsg loop",
        1.0 / table.ratio(DRAIN, RAW, |run| run.wall)
    );
}

fn summary(table: &Table, instructions: u64) -> serde_json::Value {
    let per_second = |name| round(per_second(table, name), 0);
    let mut line = json!({
        "bench": "events",
        "drain_per_s": per_second(DRAIN),
        "raw_recvmmsg_per_s": per_second(RAW),
        "live_lost": round(lost(table, LIVE), 0),
        "live_per_s": per_second(LIVE),
        "instructions_per_event": instructions,
    });
    let nlink = per_second(NLINK);
    if !nlink.is_null() {
        line["nlink_per_s"] = nlink;
    }
    line
}
