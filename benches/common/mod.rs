//! The shared parts of the benches: a table to work on, and a process for each measured program.

// Each bench uses only a part of this module.
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

/// Prepares this process to measure with `flows` flows, or exits with the reason why that is not
/// possible. Call it on the first thread, before there are others. The limits of the machine are
/// restored when the result is dropped.
pub fn prepare(flows: usize) -> Limits {
    support::namespace::enter()
        .and_then(|()| Limits::make_room(flows))
        .unwrap_or_else(|reason| {
            eprintln!("cannot measure: {reason}");
            std::process::exit(1)
        })
}

/// Runs a thread in a new network namespace. New flows there have counters, but no timestamps and
/// no events.
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
