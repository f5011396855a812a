//! Runs the original program or the example, in the network namespace of this thread.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Theirs,
    Ours,
}

/// The output of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub stdout: String,
    pub stderr: String,
    pub code: Option<i32>,
}

/// Returns an error if the tools cannot be run.
pub fn installed() -> Result<(), String> {
    for program in ["conntrack", "nfct"] {
        let started = command(Side::Theirs, program).arg("-V").output();
        started
            .map_err(|error| format!("{program}(8) is not installed, or not in PATH: {error}"))?;
    }
    Ok(())
}

/// Splits a line at spaces. Single quotes keep words together.
pub fn words(line: &str) -> Vec<OsString> {
    let mut words: Vec<String> = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words.into_iter().map(OsString::from).collect()
}

pub fn run(side: Side, program: &str, line: &str) -> Shown {
    let output = command(side, program).args(words(line)).output();
    shown(output.unwrap_or_else(|error| panic!("{program} {line}: {error}")))
}

/// Runs the program with `input` on stdin.
pub fn fed(side: Side, line: &str, input: &str) -> Shown {
    let mut child = command(side, "conntrack")
        .args(words(line))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("to start conntrack");
    let mut stdin = child.stdin.take().expect("its stdin");
    stdin.write_all(input.as_bytes()).expect("to write to it");
    drop(stdin);
    shown(child.wait_with_output().expect("its output"))
}

fn shown(output: Output) -> Shown {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Shown {
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        code: output.status.code(),
    }
}

pub fn command(side: Side, program: &str) -> Command {
    let mut command = match side {
        Side::Theirs => Command::new(program),
        Side::Ours => Command::new(ours().join(program)),
    };
    let path = std::env::var("PATH").unwrap_or_default();
    // Distributions put the tools there, and the PATH of a user may not contain these directories.
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command.env("TZ", "UTC");
    command
}

/// A directory in which this binary has the names of the examples.
fn ours() -> &'static PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let name = format!("ctnetlink-cli-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).expect("a directory");
        let binary = std::env::current_exe().expect("this binary");
        for name in ["conntrack", "nfct"] {
            _ = std::fs::remove_file(directory.join(name));
            std::os::unix::fs::symlink(&binary, directory.join(name)).expect("a link");
        }
        directory
    })
}
