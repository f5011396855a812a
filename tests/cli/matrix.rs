//! Every command with every option, compared with conntrack(8): stdout, stderr, exit code, and the
//! table afterwards.
//!
//! By default, each option is tried only with some commands. `CTNETLINK_TEST_MATRIX=full` tries
//! each command with each option.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::cases::{CONDITIONS, KEYS, NEW, OUTPUTS, UPDATES};
use crate::differences;
use crate::normal::normal;
use crate::population;
use crate::run::{Shown, Side, run};
use crate::support::namespace;

/// Should the whole matrix run?
pub fn full() -> bool {
    std::env::var_os("CTNETLINK_TEST_MATRIX").is_some_and(|value| value == "full")
}

/// Does the command only read the table?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Read,
    Changed,
}

/// The number of namespaces. Each has its own table.
const WORKERS: usize = 2;

/// Each command that changes nothing, with each condition and each output format.
pub fn reading() {
    let mut lines = Vec::new();
    for condition in CONDITIONS {
        lines.push(format!("-L {condition}"));
        lines.push(format!("-G {condition}"));
    }
    for output in OUTPUTS {
        lines.push(format!("-L {output}"));
    }
    let others = [
        "-L dying",
        "-L unconfirmed",
        "-C",
        "-S",
        "-V",
        "-h",
        "-L -p udp -m 0",
    ];
    for command in others {
        for option in few(CONDITIONS).chain(few(OUTPUTS)) {
            lines.push(format!("{command} {option}"));
        }
    }
    for key in KEYS {
        lines.push(format!("-G {key}"));
        for output in few(OUTPUTS) {
            lines.push(format!("-G {key} {output}"));
        }
    }
    all(Table::Read, &lines, || {});
}

/// The output formats for flows without counters or times.
pub fn settings() {
    for (acct, stamps) in [("0", "0"), ("1", "0"), ("0", "1")] {
        let lines: Vec<_> = OUTPUTS
            .iter()
            .map(|output| format!("-L {output}"))
            .collect();
        all(Table::Read, &lines, move || {
            namespace::sysctl("nf_conntrack_acct", acct).expect("nf_conntrack_acct");
            namespace::sysctl("nf_conntrack_timestamp", stamps).expect("nf_conntrack_timestamp");
        });
    }
}

/// Each command that changes the table, with each condition, and the table afterwards.
pub fn changing() {
    let mut lines = Vec::new();
    for condition in CONDITIONS {
        lines.push(format!("-D {condition}"));
    }
    for condition in few(CONDITIONS) {
        lines.push(format!("-F {condition}"));
        lines.push(format!("-U -s 10.3.0.1 -m 9 {condition}"));
        lines.push(format!(
            "-I -s 10.7.0.1 -d 10.7.0.2 -t 100 -p 89 {condition}"
        ));
    }
    for output in few(OUTPUTS) {
        lines.push(format!("-D -p tcp {output}"));
        lines.push(format!("-U -s 10.3.0.1 -m 9 {output}"));
    }
    lines.extend(UPDATES.iter().map(|change| format!("-U {change}")));
    for key in KEYS {
        lines.push(format!("-I -t 100 {key}"));
        lines.push(format!("-A -t 100 {key}"));
        lines.push(format!("-D {key}"));
    }
    for new in NEW {
        lines.push(format!("-I {new}"));
    }
    lines.extend(few(NEW).map(|new| format!("-A {new}")));
    all(Table::Changed, &lines, || {});
}

/// The commands on expectations, with each option.
pub fn expectations() {
    let mut lines = Vec::new();
    for command in ["-L", "-C", "-S", "-G", "-D", "-F", "-I", "-A", "-U"] {
        for option in few(CONDITIONS).chain(few(OUTPUTS)) {
            lines.push(format!("{command} expect {option}"));
        }
    }
    all(Table::Changed, &lines, || {});
}

/// All of them, or one of five.
fn few(lines: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    let step = if full() { 1 } else { 5 };
    lines.iter().copied().step_by(step)
}

/// Compares both programs for each line. Each namespace is made ready by `prepare`.
fn all(table: Table, lines: &[String], prepare: impl Fn() + Sync) {
    let next = AtomicUsize::new(0);
    let unequal = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                namespace::prepare().unwrap_or_else(|reason| panic!("{reason}"));
                population::prepare();
                prepare();
                population::fill();
                let before = left();
                while let Some(line) = lines.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let line = line.trim();
                    if differences::reason(line).is_some() {
                        continue;
                    }
                    if let Some(difference) = compare(table, line) {
                        population::fill();
                        unequal
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(difference);
                    }
                }
                assert_eq!(left(), before);
            });
        }
    });
    let unequal = unequal.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(
        unequal.is_empty(),
        "{} of {} command lines differ:\n{}",
        unequal.len(),
        lines.len(),
        unequal.join("\n")
    );
}

/// Runs both programs on the same table, which is restored afterwards. Returns the difference.
fn compare(table: Table, line: &str) -> Option<String> {
    let theirs = normal(&run(Side::Theirs, "conntrack", line));
    // A command line that is refused changes nothing.
    let unchanged = table == Table::Read || theirs.code == Some(2);
    let after = (!unchanged).then(again);
    let ours = normal(&run(Side::Ours, "conntrack", line));
    let after_ours = (!unchanged).then(again);
    let equal = theirs == ours && after == after_ours;
    (!equal).then(|| format!("{line}\n{}", differ((&theirs, after), (&ours, after_ours))))
}

/// Returns the table, and fills it again.
fn again() -> Shown {
    let after = left();
    population::fill();
    after
}

/// The table.
pub fn left() -> Shown {
    normal(&run(Side::Theirs, "conntrack", "-L"))
}

fn differ(theirs: (&Shown, Option<Shown>), ours: (&Shown, Option<Shown>)) -> String {
    let lines = |(shown, left): (&Shown, Option<Shown>)| -> Vec<String> {
        let left = left.map(|left| left.stdout).unwrap_or_default();
        let parts = [
            ("stdout", &shown.stdout),
            ("stderr", &shown.stderr),
            ("left", &left),
        ];
        let lines = parts
            .into_iter()
            .flat_map(|(name, text)| text.lines().map(move |line| format!("{name}: {line}")));
        lines
            .chain([format!("exit code: {:?}", shown.code)])
            .collect()
    };
    let (theirs, ours) = (lines(theirs), lines(ours));
    let gone = theirs.iter().filter(|line| !ours.contains(line));
    let new = ours.iter().filter(|line| !theirs.contains(line));
    let gone = gone.map(|line| format!("  theirs {line}\n"));
    gone.chain(new.map(|line| format!("  ours   {line}\n")))
        .collect()
}
