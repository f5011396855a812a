//! nfct(8), built only on the public API of this crate. It has the commands, output, messages and
//! exit codes of version 1.4.7.
//!
//! `sudo cargo run --example nfct -- list timeout`, or as any user in new namespaces, `unshare -Urn
//! target/debug/examples/nfct list timeout`.

mod failure;
mod helper;
mod timeout;
mod words;

use std::ffi::OsString;
use std::io::{Write, stdout};
use std::process::ExitCode;

use ctnetlink::ConntrackHandle;

use failure::{Failure, PREFIX, Result};

const USAGE: &str = "Usage: nfct command subsystem [parameters]...";

const VERSION: &str = "utility for the Netfilter's Connection Tracking System
Copyright (C) 2012 Pablo Neira Ayuso <pablo@netfilter.org>
This program comes with ABSOLUTELY NO WARRANTY.
This is free software, and you are welcome to redistribute it under certain 
conditions; see LICENSE file distributed in this package for details.";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    List,
    Add,
    Delete,
    Get,
    Flush,
    Disable,
    DefaultSet,
    DefaultGet,
}

/// In the order in which abbreviations are looked up.
const COMMANDS: [(&str, Command); 8] = [
    ("list", Command::List),
    ("add", Command::Add),
    ("delete", Command::Delete),
    ("get", Command::Get),
    ("flush", Command::Flush),
    ("disable", Command::Disable),
    ("default-set", Command::DefaultSet),
    ("default-get", Command::DefaultGet),
];

#[derive(Debug, Clone, Copy)]
enum Subsystem {
    Timeout,
    Helper,
    Version,
}

const SUBSYSTEMS: [(&str, Subsystem); 3] = [
    ("timeout", Subsystem::Timeout),
    ("helper", Subsystem::Helper),
    ("version", Subsystem::Version),
];

fn main() -> ExitCode {
    run(std::env::args_os().skip(1).collect())
}

/// The whole program.
pub(crate) fn run(arguments: Vec<OsString>) -> ExitCode {
    let words = arguments.iter().map(|word| word.to_string_lossy().into());
    let words: Vec<String> = words.collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match carry_out(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn carry_out(words: &[&str]) -> Result<()> {
    let [first, second, rest @ ..] = words else {
        return Err(Failure::bare(USAGE));
    };
    let (command, subsystem) = which(first, second)?;
    match subsystem {
        Subsystem::Version => {
            writeln!(stdout(), "{PREFIX}{VERSION}")?;
            Ok(())
        }
        Subsystem::Timeout => {
            let asked = timeout::read(command, rest)?;
            in_runtime(async |handle| asked.carry_out(&handle).await)
        }
        Subsystem::Helper => {
            let asked = helper::read(command, second, rest)?;
            in_runtime(async |handle| asked.carry_out(&handle).await)
        }
    }
}

/// The command comes first; in older versions, the subsystem did.
fn which(first: &str, second: &str) -> Result<(Command, Subsystem)> {
    if let (Some(command), Some(subsystem)) = (begun(&COMMANDS, first), begun(&SUBSYSTEMS, second))
    {
        return Ok((command, subsystem));
    }
    let unknown = |what| Failure::new(format!("Unknown {what}: {first}")).and(USAGE);
    let subsystem = begun(&SUBSYSTEMS, first).ok_or_else(|| unknown("subsystem"))?;
    let command = begun(&COMMANDS, second).ok_or_else(|| unknown("command"))?;
    Ok((command, subsystem))
}

fn begun<T: Copy>(known: &[(&str, T)], word: &str) -> Option<T> {
    let found = known.iter().find(|(name, _)| name.starts_with(word));
    found.map(|(_, value)| *value)
}

/// Opens a connection, and runs the command.
fn in_runtime(f: impl AsyncFnOnce(ConntrackHandle) -> Result<()>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::new(error.to_string()))?;
    runtime.block_on(async {
        let (connection, handle) = ctnetlink::new_connection()?;
        tokio::spawn(connection);
        f(handle).await
    })
}
