//! Shared by tests of several modules: numbered flows, and the resources of the process.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::{Duration, Instant};

use ctnetlink::{ConntrackHandle, FlowStream, NewFlow, Table, Tuple};
use futures::TryStreamExt;
use futures::future::try_join_all;
use nix::sched::{CloneFlags, unshare};
use tokio::time::sleep;

use crate::support::{count, patience};

/// The trials for a module's test functions. Each runs in its own process.
macro_rules! alone {
    ($module:literal: $($test:ident,)+) => {
        vec![$($crate::alone(concat!($module, "::", stringify!($test)), $test, || Ok(())),)+]
    };
}
pub(crate) use alone;

pub(crate) fn connect() -> ConntrackHandle {
    let (connection, handle) = ctnetlink::new_connection().expect("a connection");
    tokio::spawn(connection);
    handle
}

/// The tuple number `n`.
pub(crate) fn udp(n: u16) -> Tuple {
    let [high, low] = n.to_be_bytes();
    let src = SocketAddr::new(Ipv4Addr::new(10, 1, high, low).into(), 4000);
    let dst = SocketAddr::new(Ipv4Addr::new(10, 2, 0, 1).into(), 53);
    Tuple::udp(src, dst).expect("one family")
}

pub(crate) fn new(n: u16) -> NewFlow {
    NewFlow::new(udp(n), Duration::from_secs(3600))
}

/// Creates this many flows.
pub(crate) async fn fill(handle: &ConntrackHandle, flows: u16) {
    let created = try_join_all((0..flows).map(|n| async move { handle.create(new(n)).await }));
    created.await.expect("flows");
}

pub(crate) async fn list(handle: &ConntrackHandle) -> FlowStream {
    handle.list(Table::Conntrack).await.expect("a stream")
}

/// The number of flows in the rest of the stream.
pub(crate) async fn rest(flows: FlowStream) -> usize {
    let counted = flows.try_fold(0, |n, _| async move { Ok(n + 1) }).await;
    counted.expect("flows")
}

/// The resources of this process.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) fds: usize,
    pub(crate) threads: usize,
}

impl Held {
    pub(crate) fn now() -> Self {
        Self {
            fds: count::open_fds(),
            threads: count::threads(),
        }
    }

    /// The resources after the threads from the start of the process have ended.
    pub(crate) async fn at_rest() -> Self {
        let mut last = Self::now();
        loop {
            sleep(Duration::from_millis(50)).await;
            let now = Self::now();
            if now == last {
                return now;
            }
            last = now;
        }
    }

    /// Waits until the resources are the same again. Threads and their sockets need a moment to
    /// end.
    pub(crate) async fn again(&self) {
        until(
            || *self == Self::now(),
            || format!("{:?}, where {self:?} was due", Self::now()),
        )
        .await;
    }
}

/// Waits until `holds` is true. If it never is, panics with the text of `instead`.
pub(crate) async fn until(mut holds: impl FnMut() -> bool, instead: impl Fn() -> String) {
    let (began, patience) = (Instant::now(), patience::secs(10));
    while began.elapsed() < patience {
        if holds() {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("{}", instead());
}

/// A line of `/proc/self/status`, in KiB.
pub(crate) fn memory(line: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc/self/status");
    let line = status.lines().find(|text| text.starts_with(line));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.expect("a line").parse().expect("a number")
}

/// A new network namespace without threads in it.
pub(crate) fn namespace() -> File {
    let made = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
        File::open("/proc/thread-self/ns/net").expect("its file")
    });
    made.join().expect("a thread")
}

/// The number of this process's threads in this namespace.
pub(crate) fn threads_in(namespace: &File) -> usize {
    let inode = namespace.metadata().expect("metadata").ino();
    let tasks = fs::read_dir("/proc/self/task").expect("the threads");
    tasks
        .flatten()
        .filter_map(|task| fs::metadata(task.path().join("ns/net")).ok())
        .filter(|file| file.ino() == inode)
        .count()
}
