//! Expectations, statistics, timeout policies, and helpers in user space.

mod expectation_lists;
mod expectations;
mod preflight;
mod stats;
mod timeouts;
mod traffic;
mod user_helpers;

use libtest_mimic::Trial;

pub(crate) fn tests() -> Vec<Trial> {
    [
        expectation_lists::tests,
        expectations::tests,
        preflight::tests,
        stats::tests,
        timeouts::tests,
        traffic::tests,
        user_helpers::tests,
    ]
    .into_iter()
    .flat_map(|tests| tests())
    .collect()
}
