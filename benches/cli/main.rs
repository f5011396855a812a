//! The example conntrack compared with conntrack(8): a list, a delete of half the flows, a file of
//! command lines, and events.
//!
//! `cargo bench --bench cli` (root, for 200 000 flows). The last line is one JSON object with the
//! medians, over the rounds, of the ratios of wall times, and of the events per second of processor
//! time. Without conntrack(8) they are null.

#[path = "../common/mod.rs"]
mod common;
#[path = "../../examples/conntrack/main.rs"]
#[allow(dead_code)]
mod conntrack;
mod events;
mod programs;

use std::path::Path;
use std::process::ExitCode;

use common::args::Args;
use common::process::{self, Run};
use common::support::namespace::sysctl;
use common::table::{Table, round};
use common::{fill, raw};
use programs::{DELETES, EVENTS, LISTS, LOADS};
use serde_json::json;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    // This program also runs as the example.
    if Path::new(&name).ends_with(programs::NAME) {
        return conntrack::run(arguments.collect());
    }
    let args = Args::read(200_000);
    if let Some(name) = &args.program {
        process::begin();
        process::say(programs::run(name, args.flows));
        return ExitCode::SUCCESS;
    }
    let _limits = common::prepare(args.flows);
    let summary = common::in_namespace(move || measure(args.flows, args.rounds));
    println!("{summary}");
    ExitCode::SUCCESS
}

fn measure(flows: usize, rounds: usize) -> String {
    fill::fill(flows);
    let lists = alternate(LISTS, flows, rounds, || {});
    let deletes = alternate(DELETES, flows, rounds, || {
        empty();
        fill::fill_marked(flows, |index| Some(index % 2));
    });
    let file = programs::lines(flows / 2);
    let loads = alternate(LOADS, flows / 2, rounds, empty);
    drop(file);
    sysctl("nf_conntrack_events", "1").expect("events");
    let events = alternate(EVENTS, flows, rounds, || {
        empty();
        fill::fill(events::FLOWS);
    });
    empty();
    let wall = |run: &Run| run.wall;
    // Compare the processor time, because the generator decides how many events are lost and how
    // long both programs wait.
    let rate = |run: &Run| run.count as f64 / (run.user + run.system);
    print("lists", &lists, "s", wall);
    print("deletions of half", &deletes, "s", wall);
    print("files of lines", &loads, "s", wall);
    print("events", &events, "a second of the processor", rate);
    let ratio = |table: &Table, [theirs, ours]: [&str; 2], of: fn(&Run) -> f64| {
        round(table.ratio(ours, theirs, of), 3)
    };
    json!({
        "bench": "cli",
        "list_ratio": ratio(&lists, LISTS, wall),
        "delete_ratio": ratio(&deletes, DELETES, wall),
        "load_ratio": ratio(&loads, LOADS, wall),
        "events_ratio": ratio(&events, EVENTS, |run| run.count as f64 / (run.user + run.system)),
    })
    .to_string()
}

fn empty() {
    raw::Raw::open().flush();
}

/// Runs conntrack(8) and the example in turn, each after `prepare`.
fn alternate(names: [&'static str; 2], flows: usize, rounds: usize, prepare: impl Fn()) -> Table {
    let mut table = Table::new(&names);
    for _ in 0..rounds {
        for name in names {
            prepare();
            if let Some(run) = process::run(name, flows) {
                table.add(name, run);
            }
        }
    }
    table
}

fn print(title: &str, table: &Table, unit: &str, of: impl Fn(&Run) -> f64) {
    println!("{title}, {unit}:");
    for row in &table.rows {
        println!("  {:<24} {:>12.3}", row.name, table.median(row.name, &of));
    }
}
