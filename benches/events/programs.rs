//! The measured programs, each in its own process.

use crate::common::process::Outcome;
use crate::{CONNTRACK, DRAIN, LIVE, LIVE_DEFAULT, NLINK, RAW, live, queued};

/// Runs one program for this many events; `None` if it is not on this machine.
pub(crate) fn run(name: &str, events: usize) -> Option<Outcome> {
    Some(match name {
        RAW => queued::raw(events),
        DRAIN => queued::drain(events),
        #[cfg(ctnetlink_peers)]
        NLINK => queued::nlink(events),
        #[cfg(not(ctnetlink_peers))]
        NLINK => return None,
        LIVE => live::live(events, false),
        LIVE_DEFAULT => live::live(events, true),
        CONNTRACK => return live::conntrack(events),
        _ => panic!("{name} is not a program of this bench"),
    })
}
