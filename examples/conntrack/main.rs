//! conntrack(8), built only on the public API of this crate. It has the commands and options,
//! output, messages and exit codes of version 1.4.7.
//!
//! `sudo cargo run --example conntrack -- -L`, or as any user in new namespaces, `unshare -Urn
//! target/debug/examples/conntrack -L`.
//!
//! Not in the original: `-o json` (built with the feature `serde`: one flow per line), `--where
//! CONDITIONS` for `-L -D -U -E` (see `condition.rs`), `--watch` (the table as it changes, for the
//! conditions of `-L`), `--doctor` (what is missing on this machine).

mod behind;
mod condition;
mod create;
mod date;
mod delete;
mod events;
mod expect;
mod failure;
mod help;
mod lexer;
mod line;
mod list;
mod load;
mod matching;
mod options;
mod output;
mod printer;
mod process;
mod protocol;
mod save;
mod say;
mod stats;
mod tuple;
mod update;
mod values;
mod watch;
mod xml;

use std::ffi::OsString;
use std::process::ExitCode;

use ctnetlink::ConntrackHandle;

use failure::{Failure, PREFIX, Result};
use line::{Line, Table};

fn main() -> ExitCode {
    run(std::env::args_os().skip(1).collect())
}

/// The whole program.
pub(crate) fn run(arguments: Vec<OsString>) -> ExitCode {
    let words: Vec<_> = arguments.iter().map(|word| word.to_str()).collect();
    let done = match words[..] {
        [Some("-R" | "--load-file"), Some(path), ..] => load(path),
        _ => {
            // A bad character is replaced, as it is in messages.
            let lossy = arguments.iter().map(|word| word.to_string_lossy());
            let lossy: Vec<_> = lossy.collect();
            let words: Vec<_> = lossy.iter().map(AsRef::as_ref).collect();
            Line::read(&words).and_then(one)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// One command line.
fn one(line: Line) -> Result<()> {
    match line.command {
        None | Some('h') => {
            let text = help::text(line.protocol.filter(|_| line.command.is_some()));
            say::out(text.strip_suffix('\n').unwrap_or(&text))?;
            Ok(())
        }
        Some('V') => {
            say::out(help::VERSION)?;
            Ok(())
        }
        Some(_) => in_runtime(async |handle| command(&handle, line).await),
    }
}

/// The command lines of a file.
fn load(path: &str) -> Result<()> {
    let asked = load::read(path)?;
    in_runtime(async |handle| load::carry_out(&handle, asked).await)
}

/// Opens a connection, and runs the command.
fn in_runtime(f: impl AsyncFnOnce(ConntrackHandle) -> Result<()>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (connection, handle) = ctnetlink::new_connection()?;
        tokio::spawn(connection);
        f(handle).await
    })
}

async fn command(handle: &ConntrackHandle, line: Line) -> Result<()> {
    let table = line.table;
    match (line.command, table) {
        (Some('L'), Table::Expect) => expect::list(handle, line).await,
        (Some('G'), Table::Expect) => expect::get(handle, line).await,
        (Some('I'), Table::Expect) => expect::create(handle, line).await,
        (Some('D'), Table::Expect) => expect::delete(handle, line).await,
        (Some('F'), Table::Expect) => expect::flush(handle).await,
        (Some('L'), _) => list::list(handle, line).await,
        (Some('G'), _) => list::get(handle, line).await,
        (Some('I'), _) => create::create(handle, line).await,
        (Some('A'), _) => create::add(handle, line).await,
        (Some('U'), _) => update::update(handle, line, false).await,
        (Some('D'), _) => delete::delete(handle, line, false).await,
        (Some('F'), _) => delete::flush(handle, line).await,
        (Some('E'), _) => events::events(handle, line).await,
        (Some('C'), _) => stats::count(handle, table).await,
        (Some('S'), _) => stats::per_cpu(handle, table).await,
        (Some('~'), _) => watch::watch(handle, line).await,
        (Some('?'), _) => stats::doctor(handle).await,
        _ => Err(Failure::Nothing),
    }
}

/// Prints what was done, to stderr.
fn summary(count: u64, what: &str) {
    say::err(format_args!("{PREFIX}{count} {what}."));
}

/// The reader of the output is gone, which needs no message, or there is no runtime.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::Nothing;
        }
        Self::operation(&error.to_string())
    }
}
