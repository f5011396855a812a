//! conntrack(8), if it is on this machine.

use std::io::ErrorKind;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::process::Outcome;

/// It prints how many flows it has shown or deleted. The output of the flows is discarded.
pub fn run(arguments: &[&str]) -> Option<Outcome> {
    let start = Instant::now();
    let output = Command::new("conntrack")
        .args(arguments)
        .stdout(Stdio::null())
        .output();
    let output = match output {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        output => output.expect("conntrack"),
    };
    let outcome = Outcome::new(start, 0);
    let said = String::from_utf8_lossy(&output.stderr);
    let count = said
        .split_whitespace()
        .find_map(|word| word.parse().ok())
        .unwrap_or_else(|| panic!("conntrack said {said:?}"));
    Some(Outcome {
        count,
        child: true,
        ..outcome
    })
}
