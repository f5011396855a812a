//! Tests of the crate on the running kernel.
//!
//! Each test runs on its own thread in a fresh network namespace, without root and without any
//! tool. If no namespace can be created, the tests are skipped; `CTNETLINK_TEST_STRICT=1` makes
//! that a failure.

#[path = "../support/mod.rs"]
mod support;

mod beside;
mod bulk;
mod common;
mod events;
mod filter;
mod forger;
mod golden;
mod lanes;
mod matching;
mod mirror;
mod offloaded;
mod polled;
mod queued;
mod right;
mod scenarios;
mod verbs;

use std::future::Future;
use std::process::{Command, ExitCode};
use std::{env, io};

use libtest_mimic::{Completion, Trial};

use support::harness::Asked;
use support::namespace;

/// Set in a process that exists for one test.
const ALONE: &str = "CTNETLINK_TEST_ALONE";

fn main() -> ExitCode {
    if verbs::rights::is_stranger() {
        return verbs::rights::stranger();
    }
    let asked = Asked::from_args();
    // This comes first, while the process has a single thread.
    let obstacle = namespace::enter().err();
    let trials = verbs::tests()
        .into_iter()
        .chain(filter::tests())
        .chain(lanes::tests())
        .chain(matching::tests())
        .chain(mirror::tests())
        .chain(bulk::tests())
        .chain(beside::tests())
        .chain(events::tests())
        .chain(golden::tests())
        .chain(offloaded::tests())
        .chain(queued::tests())
        .chain(scenarios::tests());
    let trials = match obstacle {
        None => trials.collect(),
        Some(reason) if is_strict() => vec![Trial::test("namespaces", || Err(reason.into()))],
        Some(reason) => {
            eprintln!("kernel: all tests are skipped: {reason}");
            trials.map(|trial| trial.with_ignored_flag(true)).collect()
        }
    };
    asked.run(trials)
}

/// May no test be skipped?
fn is_strict() -> bool {
    env::var_os("CTNETLINK_TEST_STRICT").is_some_and(|value| value == "1")
}

/// A test in a new network namespace. `body` runs there on a current-thread runtime.
fn trial<F>(name: &str, body: fn() -> F) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    Trial::test(name, move || {
        here(body);
        Ok(())
    })
}

/// [`trial`] in a new process, for tests that measure their process. It is skipped if `fits` says
/// that the machine does not fit the test.
fn alone<F>(name: &str, body: fn() -> F, fits: fn() -> Result<(), String>) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    let itself = name.to_owned();
    Trial::ignorable_test(name, move || {
        if env::var_os(ALONE).is_some() {
            here(body);
            return Ok(Completion::Completed);
        }
        match fits() {
            Err(reason) if is_strict() => return Err(reason.into()),
            Err(reason) => return Ok(Completion::ignored_with(reason)),
            Ok(()) => {}
        }
        let child = command()?
            .args(["--exact", &itself])
            .env(ALONE, "1")
            .output()?;
        match child.status.success() {
            true => Ok(Completion::Completed),
            false => Err(String::from_utf8_lossy(&child.stdout).into()),
        }
    })
}

fn here<F>(body: fn() -> F)
where
    F: Future<Output = ()> + 'static,
{
    namespace::isolated(move || namespace::block_on(body()));
}

/// A command that runs this program again, in the network namespace of this thread.
fn command() -> io::Result<Command> {
    Ok(Command::new(env::current_exe()?))
}

/// The trials of a module's test functions, by their own names.
macro_rules! trials {
    ($module:literal: $($test:ident,)+) => {
        vec![$($crate::trial(concat!($module, "::", stringify!($test)), $test),)+]
    };
}
use trials;
