//! A program of this bench under callgrind.
//!
//! Not by gungraun, which is callgrind with a runner of its own: that has to be compiled and installed beside the crate
//! in exactly the version of the library, and all that is needed here is the sum.

use std::env;
use std::io::ErrorKind;
use std::process::{Command, Stdio};

/// Hidden: makes this process one of the measured programs.
pub(crate) const PROGRAM: &str = "--program";

/// The instructions of the program with so many flows, on all its threads, in the network namespace of this thread.
pub(crate) fn count(program: &str, flows: usize) -> u64 {
    let bench = env::current_exe().expect("the path of the bench");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        // Each thread has its turn: none is kept from the flows that wait for it.
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
