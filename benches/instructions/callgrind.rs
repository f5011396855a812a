//! Runs a program of this bench under callgrind.
//!
//! gungraun is not used. It needs its own runner, compiled and installed in exactly the version of
//! the library, and this bench needs only the sum of instructions.

use std::env;
use std::io::ErrorKind;
use std::process::{Command, Stdio};

/// Hidden: makes this process one of the measured programs.
pub(crate) const PROGRAM: &str = "--program";

/// The instructions of the program with this many flows, on all its threads, in the network
/// namespace of this thread.
pub(crate) fn count(program: &str, flows: usize) -> u64 {
    let bench = env::current_exe().expect("the path of the bench");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        // Schedule the threads fairly, so that none waits for a long time.
        .arg("--fair-sched=yes")
        .arg(bench)
        .args([PROGRAM, program, &flows.to_string()])
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("cannot measure: valgrind is not installed");
            std::process::exit(1);
        }
        output => output.expect("valgrind"),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {said}");
    // "==PID== Collected : N"
    said.lines()
        .find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
        .unwrap_or_else(|| panic!("valgrind said {said:?}"))
}
