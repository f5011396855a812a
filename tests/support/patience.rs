//! The deadlines of tests.

use std::env;
use std::sync::LazyLock;
use std::time::Duration;

/// `CTNETLINK_TEST_SLOW`: how many times slower than a usual computer this machine is.
static SLOW: LazyLock<u32> = LazyLock::new(|| match env::var("CTNETLINK_TEST_SLOW") {
    Ok(times) => times.parse().expect("CTNETLINK_TEST_SLOW is a number"),
    Err(_) => 1,
});

/// This many seconds; more on a slow machine.
pub fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs) * *SLOW
}

/// How long an answer and its effects may take.
pub fn answer() -> Duration {
    secs(10)
}

/// How often to repeat work that keeps the processor busy: less often on a slow machine.
pub fn rounds(rounds: u64) -> u64 {
    rounds.div_ceil((*SLOW).into())
}
