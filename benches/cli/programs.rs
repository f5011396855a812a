//! The measured programs: conntrack(8) and the example, each in its own process.

use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::common::process::Outcome;
use crate::events;

/// The bench runs as the example if it has this argument.
pub(crate) const NAME: &str = "conntrack";

/// Pairs of programs: conntrack(8) and the example.
pub(crate) const LISTS: [&str; 2] = ["conntrack -L", "ours -L"];
pub(crate) const DELETES: [&str; 2] = ["conntrack -D", "ours -D"];
pub(crate) const LOADS: [&str; 2] = ["conntrack -R", "ours -R"];
pub(crate) const EVENTS: [&str; 2] = ["conntrack -E", "ours -E"];

#[derive(Debug, Clone, Copy)]
pub(crate) enum Side {
    Theirs,
    Ours,
}

impl Side {
    pub(crate) fn command(self) -> Command {
        match self {
            Self::Theirs => Command::new(NAME),
            Self::Ours => {
                let mut command = Command::new(std::env::current_exe().expect("this program"));
                command.arg0(NAME);
                command
            }
        }
    }
}

/// Runs a program; `None` if it is not on this machine.
pub(crate) fn run(name: &str, flows: usize) -> Option<Outcome> {
    let side = if name.starts_with("ours") {
        Side::Ours
    } else {
        Side::Theirs
    };
    match name.split_once(' ')?.1 {
        "-L" => counted(side, &["-L"], flows),
        "-D" => counted(side, &["-D", "-m", "1"], flows / 2),
        "-R" => {
            let path = path();
            let path = path.to_str().expect("UTF-8");
            timed(side, &["-R", path]).map(|(outcome, said)| {
                assert_eq!(said, "", "{side:?}");
                outcome
            })
        }
        "-E" => events::run(side, flows),
        _ => panic!("{name} is not a program of this bench"),
    }
}

/// It must report this many flows.
fn counted(side: Side, arguments: &[&str], count: usize) -> Option<Outcome> {
    let (outcome, said) = timed(side, arguments)?;
    assert_eq!(number(&said), count, "{side:?}: {said}");
    Some(Outcome { count, ..outcome })
}

/// The first number in its output.
pub(crate) fn number(said: &str) -> usize {
    let number = said.split_whitespace().find_map(|word| word.parse().ok());
    number.unwrap_or_else(|| panic!("no number in {said:?}"))
}

/// The output is discarded.
fn timed(side: Side, arguments: &[&str]) -> Option<(Outcome, String)> {
    let start = Instant::now();
    let output = side
        .command()
        .args(arguments)
        .stdout(Stdio::null())
        .output();
    let output = match output {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        output => output.expect("to run it"),
    };
    let outcome = Outcome::new(start, 0);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Some((
        Outcome {
            child: true,
            ..outcome
        },
        said,
    ))
}

/// The file of command lines, which is removed on drop.
pub(crate) struct Lines;

impl Drop for Lines {
    fn drop(&mut self) {
        _ = std::fs::remove_file(path());
    }
}

/// The name of the bench is part of the file's name.
fn path() -> PathBuf {
    std::env::temp_dir().join("ctnetlink-bench-cli-lines")
}

/// Lines as `-o save` writes them.
pub(crate) fn lines(count: usize) -> Lines {
    let line = |number: usize| {
        let (port, host) = (number % 60_000 + 1, number / 60_000);
        format!(
            "-A -t 3000 -u SEEN_REPLY,ASSURED -s 10.0.0.{host} -d 10.1.0.1 -r 10.1.0.1 -q 10.0.0.{host} -p udp \
             --sport {port} --dport 53 --reply-port-src 53 --reply-port-dst {port}\n"
        )
    };
    let text: String = (0..count).map(line).collect();
    std::fs::write(path(), text).expect("a file of lines");
    Lines
}
