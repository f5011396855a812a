//! Changes many flows, and lists few: the crate compared with bare loops, libnetfilter_conntrack
//! and conntrack(8).
//!
//! `cargo bench --bench bulk` (root, for ten times as many flows as `--flows` says; 20 000 need
//! none). The last line is one JSON object with medians over the rounds: marks per second, the
//! seconds to delete half of twice the flows, and the wall time of a list of one flow out of ten
//! times as many, relative to the bare walk. Without libnetfilter_conntrack or conntrack(8), their
//! numbers are null.

#[path = "../common/mod.rs"]
mod common;
mod deletes;
mod filtered;
mod lnfct;
mod marks;

use common::args::Args;
use common::process::{self, Outcome, Run};
use common::table::{Table, round};
use common::{fill, names, raw};
use serde_json::{Value, json};

const RAW_BATCHED: &str = "raw, 64 a send";
const BULK: &str = "bulk";
const RAW_ONE_BY_ONE: &str = "raw, one by one";
const LNFCT: &str = "libnetfilter_conntrack";
const RAW_BATCHED_MISSING: &str = "raw, 64 a send, some missing";
const BULK_MISSING: &str = "bulk, some missing";
const LNFCT_MISSING: &str = "libnetfilter_conntrack, some missing";
const RAW_BATCHED_SHUFFLED: &str = "raw, 64 a send, shuffled";
const BULK_SHUFFLED: &str = "bulk, shuffled";
const LNFCT_SHUFFLED: &str = "libnetfilter_conntrack, shuffled";
const CONNTRACK: &str = "conntrack -D";
const DELETE_MATCHING: &str = "delete_matching";
const RAW_FILTERED: &str = "raw filtered walk";
const FILTERED: &str = "list().filter()";

/// The others are compared with the first of each.
const MARKS: [&str; 4] = [RAW_BATCHED, BULK, RAW_ONE_BY_ONE, LNFCT];
const MARKS_MISSING: [&str; 3] = [RAW_BATCHED_MISSING, BULK_MISSING, LNFCT_MISSING];
const MARKS_SHUFFLED: [&str; 3] = [RAW_BATCHED_SHUFFLED, BULK_SHUFFLED, LNFCT_SHUFFLED];
const DELETES: [&str; 2] = [CONNTRACK, DELETE_MATCHING];
const WALKS: [&str; 2] = [RAW_FILTERED, FILTERED];

/// The number of flows in the other parts, relative to the number of marked flows.
const DELETE_FROM: usize = 2;
const LIST_FROM: usize = 10;

/// Short programs run this many times more often, because their medians differed by a tenth.
const SHORT: usize = 3;

fn main() {
    let args = Args::read(100_000);
    if let Some(name) = &args.program {
        process::begin();
        process::say(run(name));
        return;
    }
    lnfct::compile();
    let _limits = common::prepare(args.flows * LIST_FROM);
    let summary = common::in_namespace(move || measure(args.flows, args.rounds));
    println!("{summary}");
}

fn run(name: &str) -> Option<Outcome> {
    Some(match name {
        RAW_BATCHED => marks::raw_batched(marks::LISTED),
        RAW_BATCHED_MISSING => marks::raw_batched(marks::SOME_MISSING),
        RAW_BATCHED_SHUFFLED => marks::raw_batched(marks::IN_ANOTHER_ORDER),
        BULK => marks::bulk(marks::LISTED),
        BULK_MISSING => marks::bulk(marks::SOME_MISSING),
        BULK_SHUFFLED => marks::bulk(marks::IN_ANOTHER_ORDER),
        RAW_ONE_BY_ONE => names::mark_one_by_one(names::AS_LISTED),
        LNFCT => return lnfct::mark(marks::LISTED),
        LNFCT_MISSING => return lnfct::mark(marks::SOME_MISSING),
        LNFCT_SHUFFLED => return lnfct::mark(marks::IN_ANOTHER_ORDER),
        DELETE_MATCHING => deletes::matching(),
        CONNTRACK => return deletes::conntrack(),
        RAW_FILTERED => filtered::raw(),
        FILTERED => filtered::list(),
        _ => panic!("{name} is not a program of this bench"),
    })
}

fn measure(flows: usize, rounds: usize) -> String {
    fill::fill(flows);
    let short = rounds * SHORT;
    let marks = alternate(&MARKS, flows, short, || {});
    print("all there, as listed", &marks, "a second", rate);
    let missing = alternate(&MARKS_MISSING, flows, short, || {});
    print("every tenth missing", &missing, "a second", rate);
    let shuffled = alternate(&MARKS_SHUFFLED, flows, short, || {});
    print("in another order", &shuffled, "a second", rate);
    let all = flows * DELETE_FROM;
    let deletes = alternate(&DELETES, all / 2, rounds, || deletes::fill(all));
    print("deletes of every second", &deletes, "s", wall);
    filtered::fill(flows * LIST_FROM);
    let walks = alternate(&WALKS, 1, short, || {});
    print("lists of one", &walks, "s", wall);
    raw::Raw::open().flush();
    let per_second = |table: &Table, name| round(table.median(name, rate), 0);
    object(&[
        ("bench", json!("bulk")),
        ("bulk_per_s", per_second(&marks, BULK)),
        ("raw_batched_per_s", per_second(&marks, RAW_BATCHED)),
        ("raw_one_by_one_per_s", per_second(&marks, RAW_ONE_BY_ONE)),
        ("libnetfilter_conntrack_per_s", per_second(&marks, LNFCT)),
        (
            "filtered_list_ratio",
            round(walks.ratio(FILTERED, RAW_FILTERED, wall), 3),
        ),
        ("bulk_missing_per_s", per_second(&missing, BULK_MISSING)),
        (
            "raw_batched_missing_per_s",
            per_second(&missing, RAW_BATCHED_MISSING),
        ),
        (
            "libnetfilter_conntrack_missing_per_s",
            per_second(&missing, LNFCT_MISSING),
        ),
        ("bulk_shuffled_per_s", per_second(&shuffled, BULK_SHUFFLED)),
        (
            "raw_batched_shuffled_per_s",
            per_second(&shuffled, RAW_BATCHED_SHUFFLED),
        ),
        (
            "libnetfilter_conntrack_shuffled_per_s",
            per_second(&shuffled, LNFCT_SHUFFLED),
        ),
        (
            "delete_matching_s",
            round(deletes.median(DELETE_MATCHING, wall), 3),
        ),
        (
            "conntrack_delete_s",
            round(deletes.median(CONNTRACK, wall), 3),
        ),
        (
            "delete_matching_ratio",
            round(deletes.ratio(DELETE_MATCHING, CONNTRACK, wall), 3),
        ),
    ])
}

/// A JSON object that keeps the order of its keys.
fn object(fields: &[(&str, Value)]) -> String {
    let fields = fields
        .iter()
        .map(|(key, value)| format!("{}:{value}", json!(key)));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

/// Runs all programs in each round, on the table that `refill` makes. Each must handle `count`
/// flows.
fn alternate(
    names: &[&'static str],
    count: usize,
    rounds: usize,
    mut refill: impl FnMut(),
) -> Table {
    let mut table = Table::new(names);
    for number in 1..=rounds {
        for name in names {
            eprintln!("round {number} of {rounds}: {name}");
            refill();
            if let Some(run) = process::run(name, count) {
                assert_eq!(run.count, count, "flows of {name}");
                table.add(name, run);
            }
        }
    }
    table
}

fn rate(run: &Run) -> f64 {
    run.count as f64 / run.wall
}

fn wall(run: &Run) -> f64 {
    run.wall
}

fn print(title: &str, table: &Table, unit: &str, of: fn(&Run) -> f64) {
    let first = table.rows[0].name;
    println!("{title:<40}{unit:>12}{:>12}", "x the first");
    for row in table.rows.iter().filter(|row| !row.runs.is_empty()) {
        let (median, ratio) = (table.median(row.name, of), table.ratio(row.name, first, of));
        let digits = if unit == "s" { 3 } else { 0 };
        println!("    {:<36}{median:>12.digits$}{ratio:>12.3}", row.name);
    }
}
