//! Marks the flows of a mixed table one by one: the crate compared with a bare loop. Also measures
//! how long requests wait for walks.
//!
//! `cargo bench --bench requests`. The last line is one JSON object with medians over the rounds:
//! requests per second, and the longest send of a bare get, in ms, during walks on another CPU. The
//! walks are lists that match nothing, with half as many flows again: the crate's lists, and plain
//! dumps. Without a second CPU these are null.

#[path = "../common/mod.rs"]
mod common;
mod walks;

use std::time::Instant;

use common::args::Args;
use common::names;
use common::process::{self, Outcome};
use common::raw::Raw;
use common::table::{Table, round};
use ctnetlink::{ConntrackHandle, FlowKey};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::json;

const RAW: &str = "raw, one by one";
const SEQUENTIAL: &str = "set_mark, one by one";
const IN_FLIGHT: &str = "set_mark, 128 in flight";
const PROGRAMS: [&str; 3] = [RAW, SEQUENTIAL, IN_FLIGHT];
const BESIDE_RAW_WALKS: &str = "sends beside plain dumps";
const BESIDE_WALKS: &str = "sends beside lists";
const BESIDE: [&str; 2] = [BESIDE_RAW_WALKS, BESIDE_WALKS];

fn main() {
    let args = Args::read(100_000);
    if let Some(name) = &args.program {
        process::begin();
        process::say(run(name));
        return;
    }
    let walked = args.flows + args.flows / 2;
    let _limits = common::prepare(walked);
    let (table, beside) = common::in_namespace(move || {
        let table = measure(&PROGRAMS, args.flows, args.rounds);
        Raw::open().flush();
        (table, measure(&BESIDE, walked, args.rounds))
    });
    print(&table);
    let worst = |name| beside.median(name, |run| run.late.unwrap_or(f64::NAN));
    for name in BESIDE {
        println!("{name:<28}{:>12.3} ms at worst", worst(name));
    }
    let per_second = |name| round(table.median(name, rate), 0);
    println!(
        "{}",
        json!({
            "bench": "requests",
            "sequential_per_s": per_second(SEQUENTIAL),
            "in_flight_128_per_s": per_second(IN_FLIGHT),
            "raw_one_by_one_per_s": per_second(RAW),
            "beside_walks_worst_send_ms": round(worst(BESIDE_WALKS), 3),
            "beside_walks_raw_worst_send_ms": round(worst(BESIDE_RAW_WALKS), 3),
        })
    );
}

/// Fills the table and runs all programs on it, in each round.
fn measure(names: &[&'static str], flows: usize, rounds: usize) -> Table {
    common::fill::fill(flows);
    let mut table = Table::new(names);
    for number in 1..=rounds {
        eprintln!("round {number} of {rounds}: {flows} flows");
        for name in names {
            if let Some(run) = process::run(name, flows) {
                assert_eq!(run.count, flows, "flows of {name}");
                table.add(name, run);
            }
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

/// `None` if the machine has too few CPUs.
fn run(name: &str) -> Option<Outcome> {
    Some(match name {
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
        BESIDE_RAW_WALKS => return walks::raw(),
        BESIDE_WALKS => return walks::ours(),
        _ => panic!("{name} is not a program of this bench"),
    })
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
