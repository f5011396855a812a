//! conntrack(8), nfct(8) and nft(8), run in the network namespace of this thread.

use std::env;
use std::process::{Command, Output};

use crate::shown::Shown;

const CONNTRACK: &str = "conntrack";
const NFCT: &str = "nfct";
const NFT: &str = "nft";

/// Returns an error if the tools cannot be run.
pub fn installed() -> Result<(), String> {
    let tools = [
        (CONNTRACK, "--version"),
        (NFCT, "version list"),
        (NFT, "--version"),
    ];
    for (program, version) in tools {
        let started = command(program, version).output();
        started
            .map_err(|error| format!("{program}(8) is not installed, or not in PATH: {error}"))?;
    }
    Ok(())
}

/// Runs nfct(8), which must succeed, and returns its output.
#[track_caller]
pub fn nfct(arguments: &str) -> String {
    printed(NFCT, arguments)
}

/// Runs nft(8), which must succeed, and returns its output.
#[track_caller]
pub fn nft(arguments: &str) -> String {
    printed(NFT, arguments)
}

#[track_caller]
fn printed(program: &str, arguments: &str) -> String {
    let output = command(program, arguments).output().expect(program);
    assert!(
        output.status.success(),
        "{program} {arguments}: {}",
        stderr(&output)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Runs the tool, which must succeed, and returns its output.
#[track_caller]
pub fn conntrack(arguments: &str) -> String {
    tried(arguments).unwrap_or_else(|words| panic!("conntrack {arguments}: {words}"))
}

/// Runs the tool. Returns its output or its error message.
pub fn tried(arguments: &str) -> Result<String, String> {
    let output = run(arguments);
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).expect("UTF-8 from conntrack(8)")),
        false => Err(format!("{}: {}", output.status, stderr(&output))),
    }
}

/// Runs the tool, which must fail, and returns its error message.
#[track_caller]
pub fn refused(arguments: &str) -> String {
    let output = run(arguments);
    assert!(
        !output.status.success(),
        "conntrack {arguments} should have failed"
    );
    stderr(&output)
}

/// The flows that the tool shows for these arguments, by its XML.
#[track_caller]
pub fn shown(arguments: &str) -> Vec<Shown> {
    let mut document = conntrack(&format!("{arguments} -o xml,ktimestamp,labels"));
    // `-G` begins the document and does not end it.
    if document.contains("<conntrack>") && !document.contains("</conntrack>") {
        document.push_str("</conntrack>");
    }
    Shown::read(&document)
}

/// The flow that the tool gets for this key (`-p udp -s …`).
#[track_caller]
pub fn got(key: &str) -> Shown {
    let mut flows = shown(&format!("-G {key}"));
    assert_eq!(flows.len(), 1, "conntrack -G {key}: {flows:#?}");
    flows.remove(0)
}

fn run(arguments: &str) -> Output {
    command(CONNTRACK, arguments)
        .output()
        .expect("to start conntrack(8), which was there before")
}

pub fn command(program: &str, arguments: &str) -> Command {
    let mut command = Command::new(program);
    let path = env::var("PATH").unwrap_or_default();
    // Where distributions put it, and where a user's PATH may not lead.
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command.args(arguments.split_whitespace());
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
