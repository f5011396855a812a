//! The deadlines of tests.

use std::env;
use std::sync::LazyLock;
use std::time::Duration;

/// `CTNETLINK_TEST_SLOW`: how many times slower than a computer of today this machine is.
static SLOW: LazyLock<u32> = LazyLock::new(|| match env::var("CTNETLINK_TEST_SLOW") {
    Ok(times) => times.parse().expect("CTNETLINK_TEST_SLOW is a number"),
    Err(_) => 1,
});

/// So many seconds, stretched on a slow machine.
pub fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs) * *SLOW
}

/// How long an answer, or what follows from it, may take.
pub fn answer() -> Duration {
    secs(10)
}

/// How often something is repeated that takes the computer all the time: less on a slow machine.
pub fn rounds(rounds: u64) -> u64 {
    rounds.div_ceil((*SLOW).into())
}
