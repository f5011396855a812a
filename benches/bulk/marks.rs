//! Marks all flows of a mixed table.
//!
//! The keys are read beforehand, and the messages of the bare loops are made beforehand too.

use std::time::Instant;

use ctnetlink::{Change, Patch};
use nix::libc::ENOENT;

use crate::common::names::{AS_LISTED, SHUFFLED, Stride, keys, names};
use crate::common::process::Outcome;
use crate::common::raw::{BATCH, Raw};
use crate::common::{current_thread, message};

/// The keys of the flows to mark.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) stride: Stride,
    pub(crate) some_missing: bool,
}

/// All flows, with keys from a list.
pub(crate) const LISTED: Scenario = Scenario {
    stride: AS_LISTED,
    some_missing: false,
};
pub(crate) const SOME_MISSING: Scenario = Scenario {
    some_missing: true,
    ..LISTED
};
/// All flows, with keys as a daemon may store them.
pub(crate) const IN_ANOTHER_ORDER: Scenario = Scenario {
    stride: SHUFFLED,
    ..LISTED
};

/// With missing flows, one in this many is missing: its key has the wrong zone.
pub(crate) const EVERY: usize = 10;
pub(crate) const NO_ZONE: u16 = 77;

/// The number of missing flows among `count`.
pub(crate) fn missing(count: usize, some: bool) -> usize {
    if some { count.div_ceil(EVERY) } else { 0 }
}

/// Only the last request of each send asks for an ACK. The kernel reports missing flows anyway.
pub(crate) fn raw_batched(scenario: Scenario) -> Outcome {
    let mut socket = Raw::open();
    let mut names = names(&mut socket, scenario.stride);
    if scenario.some_missing {
        let missing = names.iter_mut().step_by(EVERY);
        missing.for_each(|name| name.zone = Some(NO_ZONE));
    }
    let mut number = 0;
    let sends = names.chunks(BATCH).map(|batch| {
        let mut datagram = Vec::new();
        for (index, name) in (1..).zip(batch) {
            number += 1;
            let last = index == batch.len();
            name.set_mark(&mut datagram, if last { message::ACK } else { 0 }, number);
        }
        (number, datagram)
    });
    let sends: Vec<_> = sends.collect();
    let mut gone = 0;
    let start = Instant::now();
    for (last, datagram) in &sends {
        socket.send(datagram);
        socket.answered(*last, |number, errno| {
            assert_eq!(errno, ENOENT, "errno of request {number}");
            gone += 1;
        });
    }
    let outcome = Outcome::new(start, names.len());
    assert_eq!(gone, missing(names.len(), scenario.some_missing));
    outcome
}

/// The keys are read beforehand. The changes and their messages are made during the measurement.
pub(crate) fn bulk(scenario: Scenario) -> Outcome {
    current_thread().block_on(async {
        let handle = ctnetlink::connect().await.expect("a connection");
        let mut keys = keys(&handle, scenario.stride).await;
        if scenario.some_missing {
            let missing = keys.iter_mut().step_by(EVERY);
            missing.for_each(|key| *key = key.zone(NO_ZONE));
        }
        let (count, gone) = (keys.len(), missing(keys.len(), scenario.some_missing));
        let start = Instant::now();
        let changes = (1_u32..)
            .zip(keys)
            .map(|(mark, key)| Change::Update(key, Patch::new().mark(mark)));
        let report = handle.bulk(changes).await.expect("a bulk");
        let outcome = Outcome::new(start, count);
        assert_eq!(report.applied, (count - gone) as u64, "{report:?}");
        assert_eq!(report.gone, gone as u64, "{report:?}");
        outcome
    })
}
