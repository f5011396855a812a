//! Counts the instructions that the crate needs for a flow or an event. The number does not depend
//! on how busy the machine is.
//!
//! `cargo bench --bench instructions` (needs valgrind). The last line is one JSON object, with the
//! instructions in user space for: decoding a TCP flow; a flow of a list, from the call to the
//! `Flow`; a mark by a bulk request, with keys from a list, and the same where every tenth flow is
//! missing; a mark by the control lane, one after the other and with 128 in flight; a lookup in a
//! mirror; an event of `handle.events()`; and an event that a mirror applies, from the socket on.
//! The bench fails if a number is more than 5 % above the one in `kept.json`. `-- --keep` writes
//! that file again, which another compiler may need.
//!
//! Each program runs under callgrind with few and with many flows, three times each, and the
//! difference of the least counts is the result. It does not include the start and the keys of the
//! table, which all runs have in common.

#[path = "../mirror/apply.rs"]
mod apply;
mod callgrind;
#[path = "../common/mod.rs"]
mod common;
mod programs;

use std::process::ExitCode;
use std::{env, fs};

use common::support::namespace;
use programs::{ON_A_TABLE, ON_THEIR_OWN, Program};
use serde_json::{Map, Value, json};

/// cargo runs the bench where it was built, so the path of the sources is right.
const KEPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/instructions/kept.json"
);

/// The number of runs with the same flows.
const RUNS: usize = 3;

/// The largest allowed factor to the kept number.
const GROWTH: f64 = 1.05;

fn main() -> ExitCode {
    let words: Vec<_> = env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let keep = match words[..] {
        [callgrind::PROGRAM, name, flows] => {
            let flows = flows.parse().expect("a number of flows");
            programs::run(name, flows);
            return ExitCode::SUCCESS;
        }
        [apply::CHANGE, which, flows] => {
            apply::change(which, flows.parse().expect("a number of flows"));
            return ExitCode::SUCCESS;
        }
        [] => false,
        ["--keep"] => true,
        _ => {
            eprintln!("{words:?} is not known; option: --keep");
            return ExitCode::from(2);
        }
    };
    let _limits = common::prepare(programs::TABLE);
    let counts = common::in_namespace(measure);
    let kept = match keep {
        true => {
            write(&counts);
            counts.clone()
        }
        false => read(),
    };
    let has_grown = compare(&counts, &kept);
    let mut line = json!({"bench": "instructions"});
    for (key, count) in counts {
        line[key] = count;
    }
    println!("{line}");
    match has_grown {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

/// Instructions per flow or event, by the names of the programs.
fn measure() -> Map<String, Value> {
    common::fill::fill(programs::TABLE);
    let mut counts: Vec<_> = ON_A_TABLE.map(each).into();
    common::raw::Raw::open().flush();
    namespace::sysctl("nf_conntrack_events", "1").expect("the setting of the namespace");
    counts.extend(ON_THEIR_OWN.map(each));
    counts.into_iter().collect()
}

fn each(program: Program) -> (String, Value) {
    eprintln!("{}", program.name);
    let (few, many) = (program.few, program.few * programs::MORE);
    let [with_few, with_many] = [few, many].map(|flows| least(program.name, flows));
    let count = with_many.saturating_sub(with_few) as f64 / (many - few) as f64;
    assert!(count >= 1.0, "{} did nothing", program.name);
    (program.name.to_owned(), json!(count.round() as u64))
}

/// The least of a few runs. A thread that waits for another one needs more instructions, and how
/// often it waits depends on how busy the machine is.
fn least(program: &str, flows: usize) -> u64 {
    let runs = (0..RUNS).map(|_| callgrind::count(program, flows));
    runs.min().expect("a run")
}

/// Prints all numbers, and returns whether one has grown too much.
fn compare(counts: &Map<String, Value>, kept: &Map<String, Value>) -> bool {
    let number = |value: Option<&Value>| value.and_then(Value::as_f64);
    let mut has_grown = false;
    println!("{:<28}{:>14}{:>10}", "", "instructions", "kept");
    for (name, count) in counts {
        let now = number(Some(count)).unwrap_or(f64::NAN);
        // A number that was never kept must be kept first.
        let before = number(kept.get(name)).unwrap_or(0.0);
        let grown = now > before * GROWTH;
        has_grown |= grown;
        let word = if grown { "  more than 5 % above" } else { "" };
        println!("{name:<28}{now:>14}{before:>10}{word}");
    }
    has_grown
}

fn read() -> Map<String, Value> {
    let text = fs::read_to_string(KEPT).unwrap_or_else(|error| panic!("{KEPT}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{KEPT}: {error}"))
}

fn write(counts: &Map<String, Value>) {
    let text = serde_json::to_string_pretty(counts).expect("JSON") + "\n";
    fs::write(KEPT, text).unwrap_or_else(|error| panic!("{KEPT}: {error}"));
}
