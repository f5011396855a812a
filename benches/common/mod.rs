//! What the measured programs share: a table to work on, and a process for each of them.

// Each bench takes a part of it, and nothing is reachable from outside.
#![allow(dead_code, unreachable_pub)]

pub mod args;
pub mod conntrack;
pub mod fill;
pub mod limits;
pub mod message;
pub mod names;
pub mod process;
pub mod raw;
pub mod table;

#[path = "../../tests/support/mod.rs"]
pub mod support;

use std::io;

use self::limits::Limits;

/// Makes this process able to measure with `flows` flows, or ends it and says why that cannot be. To be called on the
/// first thread, while it is the only one; the limits of the machine are put back when the result is dropped.
pub fn prepare(flows: usize) -> Limits {
    support::namespace::enter()
        .and_then(|()| Limits::make_room(flows))
        .unwrap_or_else(|reason| {
            eprintln!("cannot measure: {reason}");
            std::process::exit(1)
        })
}

/// A thread in a network namespace of its own, whose new flows have counters, and neither timestamps nor events.
pub fn in_namespace<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> R {
    support::namespace::isolated(|| {
        let settings = || -> io::Result<()> {
            support::namespace::sysctl("nf_conntrack_acct", "1")?;
            support::namespace::sysctl("nf_conntrack_timestamp", "0")?;
            support::namespace::sysctl("nf_conntrack_events", "0")
        };
        settings().expect("the settings of the namespace");
        body()
    })
}

/// A current-thread runtime.
pub fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}
