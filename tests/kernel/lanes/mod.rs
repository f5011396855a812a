//! The lanes of requests: cancellation, overruns, closing, limits.

mod closing;
mod deadline;
mod drops;
mod elsewhere;
mod forged;
mod many;
mod opening;
mod order;
mod overrun;
mod paused;
mod right;
mod spans;
mod unpolled;
mod walks;

use libtest_mimic::Trial;

use crate::common::{Held, alone, connect, fill, list, memory, new, rest, udp, until};

/// The name of the threads that walk the table.
const WALK: &str = "ctnetlink-walk";

pub(crate) fn tests() -> Vec<Trial> {
    [
        closing::tests,
        deadline::tests,
        drops::tests,
        elsewhere::tests,
        forged::tests,
        many::tests,
        opening::tests,
        order::tests,
        overrun::tests,
        paused::tests,
        right::tests,
        spans::tests,
        unpolled::tests,
        walks::tests,
    ]
    .into_iter()
    .flat_map(|tests| tests())
    .collect()
}
