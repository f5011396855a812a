//! What each level of privilege allows: a privileged container, `CAP_NET_ADMIN` alone, an ordinary
//! user, and that user in namespaces of its own.
//!
//! `CTNETLINK_LEVEL` (`privileged`, `net-admin`, `rootless`) is the expected level of this process;
//! without it, the capabilities of the process decide. Tests that are impossible here are skipped;
//! `CTNETLINK_TEST_STRICT=1` makes that a failure.

#[path = "../support/mod.rs"]
mod support;

mod limits;
mod own;
mod place;
mod verbs;

use std::process::ExitCode;

use libtest_mimic::{Completion, Trial};

use place::Place;
use support::harness::Asked;

fn main() -> ExitCode {
    if own::is_inside() {
        return own::inside();
    }
    let asked = Asked::from_args();
    let place = Place::find();
    eprintln!("privilege: this is {place}");
    let mut trials = trials(place);
    trials.extend(own::tests(place));
    asked.run(trials)
}

/// The tests of what every level may do or not.
fn trials(place: Place) -> Vec<Trial> {
    let mut trials = limits::tests(place);
    trials.extend(verbs::tests(place));
    trials
}

/// A test that panics if it fails, and returns the reason if it cannot be run here.
fn trial(name: &str, test: impl FnOnce() -> Result<(), String> + Send + 'static) -> Trial {
    let strict = std::env::var_os("CTNETLINK_TEST_STRICT").is_some_and(|value| value == "1");
    Trial::ignorable_test(name, move || match test() {
        Ok(()) => Ok(Completion::Completed),
        Err(reason) if strict => Err(reason.into()),
        Err(reason) => Ok(Completion::ignored_with(reason)),
    })
}
