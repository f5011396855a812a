//! Marks the flows of a mixed table one by one: the crate beside a bare loop.
//!
//! `cargo bench --bench requests`. The last line is one JSON object: requests a second, medians over the rounds.

#[path = "../common/mod.rs"]
mod common;

use std::time::Instant;

use common::args::Args;
use common::names;
use common::process::{self, Outcome};
use common::table::{Table, round};
use ctnetlink::{ConntrackHandle, FlowKey};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::json;

const RAW: &str = "raw, one by one";
const SEQUENTIAL: &str = "set_mark, one by one";
const IN_FLIGHT: &str = "set_mark, 128 in flight";
const PROGRAMS: [&str; 3] = [RAW, SEQUENTIAL, IN_FLIGHT];

fn main() {
    let args = Args::read(100_000);
    if let Some(name) = &args.program {
        process::begin();
        process::say(Some(run(name)));
        return;
    }
    let _limits = common::prepare(args.flows);
    let table = common::in_namespace(move || measure(args.flows, args.rounds));
    print(&table);
    let per_second = |name| round(table.median(name, rate), 0);
    println!(
        "{}",
        json!({
            "bench": "requests",
            "sequential_per_s": per_second(SEQUENTIAL),
            "in_flight_128_per_s": per_second(IN_FLIGHT),
            "raw_one_by_one_per_s": per_second(RAW),
        })
    );
}

fn measure(flows: usize, rounds: usize) -> Table {
    common::fill::fill(flows);
    let mut table = Table::new(&PROGRAMS);
    for number in 1..=rounds {
        eprintln!("round {number} of {rounds}: {flows} flows");
        for name in PROGRAMS {
            let run = process::run(name, flows).expect("a run");
            assert_eq!(run.count, flows, "flows that {name} marked");
            table.add(name, run);
        }
    }
    table
}

fn rate(run: &process::Run) -> f64 {
    run.count as f64 / run.wall
}

fn print(table: &Table) {
    println!(
        "{:<28}{:>12}{:>8}{:>9}{:>9}",
        "", "a second", "x raw", "user s", "sys s"
    );
    for row in &table.rows {
        let name = row.name;
        println!(
            "{name:<28}{:>12.0}{:>8.3}{:>9.3}{:>9.3}",
            table.median(name, rate),
            table.ratio(name, RAW, rate),
            table.median(name, |run| run.user),
            table.median(name, |run| run.system),
        );
    }
}

fn run(name: &str) -> Outcome {
    match name {
        RAW => names::mark_one_by_one(names::SHUFFLED),
        SEQUENTIAL => ours(async |handle, keys| {
            for (mark, key) in (1..).zip(keys) {
                handle.set_mark(key, mark).await?;
            }
            Ok(())
        }),
        IN_FLIGHT => ours(async |handle, keys| {
            stream::iter((1..).zip(keys))
                .map(|(mark, key)| Ok(handle.set_mark(key, mark).into_future()))
                .try_buffer_unordered(128)
                .try_for_each(|()| async { Ok(()) })
                .await
        }),
        _ => panic!("{name} is not a program of this bench"),
    }
}

fn ours(work: impl AsyncFnOnce(ConntrackHandle, Vec<FlowKey>) -> ctnetlink::Result<()>) -> Outcome {
    common::current_thread().block_on(async {
        let handle = ctnetlink::connect().await.expect("a connection");
        let keys = names::keys(&handle, names::SHUFFLED).await;
        let count = keys.len();
        let start = Instant::now();
        work(handle, keys).await.expect("marks");
        Outcome::new(start, count)
    })
}
