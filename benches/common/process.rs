//! Runs each measured program in its own process, to measure its time and memory.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::signal::Signal;
use nix::sys::time::TimeVal;
use serde_json::{Value, json};

use super::args;

/// The costs of one run of a program.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    pub wall: f64,
    pub user: f64,
    pub system: f64,
    /// Peak resident memory, MiB.
    pub rss: f64,
    /// Flows or events seen, or requests answered.
    pub count: usize,
    /// The 99th percentile of a timer's lateness, or the longest send, ms.
    pub late: Option<f64>,
    /// Events that were lost.
    pub lost: Option<f64>,
}

/// The output of a program about its run.
pub struct Outcome {
    pub wall: Duration,
    pub count: usize,
    pub late: Option<f64>,
    pub lost: Option<usize>,
    /// The measured program was a child of this process.
    pub child: bool,
}

impl Outcome {
    pub fn new(since: Instant, count: usize) -> Self {
        Self {
            wall: since.elapsed(),
            count,
            late: None,
            lost: None,
            child: false,
        }
    }
}

/// Runs program `name` of this bench in a new process, in the network namespace of this thread.
/// `None` if this machine lacks what it measures.
pub fn run(name: &str, flows: usize) -> Option<Run> {
    let bench = std::env::current_exe().expect("the path of the bench");
    let output = Command::new(bench)
        .args([args::PROGRAM, name, args::FLOWS, &flows.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("a process");
    assert!(output.status.success(), "{name}: {}", output.status);
    let said = String::from_utf8_lossy(&output.stdout);
    let last = said.lines().last().unwrap_or_default();
    let said: Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("{name} said {last:?}"));
    let number = |key: &str| said[key].as_f64();
    Some(Run {
        wall: number("wall")?,
        user: number("user")?,
        system: number("system")?,
        rss: number("rss")?,
        count: said["count"].as_u64()? as usize,
        late: number("late"),
        lost: number("lost"),
    })
}

/// A measured program calls this at its start, so that it ends with the bench.
pub fn begin() {
    prctl::set_pdeathsig(Signal::SIGKILL).expect("to end with the bench");
}

/// Prints the costs of a measured program; `None` if there was nothing to measure.
pub fn say(outcome: Option<Outcome>) {
    let Some(outcome) = outcome else {
        println!("null");
        return;
    };
    let who = match outcome.child {
        true => UsageWho::RUSAGE_CHILDREN,
        false => UsageWho::RUSAGE_SELF,
    };
    let usage = getrusage(who).expect("the usage of resources");
    let kib = match outcome.child {
        true => usage.max_rss() as f64,
        false => peak(&usage),
    };
    println!(
        "{}",
        json!({
            "wall": outcome.wall.as_secs_f64(),
            "user": seconds(usage.user_time()),
            "system": seconds(usage.system_time()),
            "rss": kib / 1024.0,
            "count": outcome.count,
            "late": outcome.late,
            "lost": outcome.lost,
        })
    );
}

/// Peak resident memory of this process, KiB. getrusage(2) is not used, because it also counts the
/// memory that the bench had when it started this process.
fn peak(usage: &Usage) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next())
        .and_then(|kib| kib.parse().ok())
        .unwrap_or(usage.max_rss() as f64)
}

fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}
