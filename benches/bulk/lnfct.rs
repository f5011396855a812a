//! libnetfilter_conntrack, used by a C program, if this machine can compile it.

use std::fs;
use std::io::ErrorKind;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::process::Outcome;
use crate::marks::{EVERY, NO_ZONE, Scenario, missing};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/bulk/lnfct.c");
const DIRECTORY: &str = env!("CARGO_TARGET_TMPDIR");
const PROGRAM: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/lnfct");

/// Compiles the program, or returns why that is not possible.
pub(crate) fn compile() {
    let _ = fs::create_dir_all(DIRECTORY);
    // Remove an older program, which would run if this compiler fails.
    let _ = fs::remove_file(PROGRAM);
    let compiler = Command::new("cc")
        .args(["-O2", "-Wall", "-o", PROGRAM, SOURCE])
        .arg("-lnetfilter_conntrack")
        .output();
    let failure = match compiler {
        Ok(output) if output.status.success() => return,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    let reason = failure.lines().next().unwrap_or_default();
    eprintln!("not measured, libnetfilter_conntrack: cc: {reason}");
}

/// Marks all flows, each after the ACK for the one before; `None` if the program could not be
/// compiled.
pub(crate) fn mark(scenario: Scenario) -> Option<Outcome> {
    let mut arguments = vec![scenario.stride.to_string()];
    if scenario.some_missing {
        arguments.extend([EVERY.to_string(), NO_ZONE.to_string()]);
    }
    let output = Command::new(PROGRAM)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output();
    let output = match output {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        output => output.expect("the program in C"),
    };
    assert!(
        output.status.success(),
        "the program in C: {}",
        output.status
    );
    let said = String::from_utf8_lossy(&output.stdout);
    let words: Vec<&str> = said.split_whitespace().collect();
    let [seconds, marked, gone] = words[..] else {
        panic!("the program in C said {said:?}");
    };
    let number = |word: &str| -> usize { word.parse().expect("a number") };
    let count = number(marked) + number(gone);
    assert_eq!(number(gone), missing(count, scenario.some_missing));
    Some(Outcome {
        wall: Duration::from_secs_f64(seconds.parse().expect("seconds")),
        count,
        late: None,
        lost: None,
        child: true,
    })
}
