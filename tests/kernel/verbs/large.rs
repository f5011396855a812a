//! A table of 100 000 flows.

use std::fs;
use std::future::IntoFuture;
use std::net::Ipv4Addr;
use std::time::Duration;

use ctnetlink::{ConntrackHandle, Flow, NewFlow, Table, Tuple};
use futures::{StreamExt, TryStreamExt, stream};
use libtest_mimic::Trial;

use super::{at, connect, new, v4};

const MANY: u32 = 100_000;

/// The memory that a stream may need: two datagrams and the one being read, a thread, and the
/// overhead of the allocator.
const CONSTANT: u64 = 2 * 1024;

pub(super) fn tests() -> Vec<Trial> {
    let name = "large::a_stream_takes_constant_memory";
    vec![crate::alone(name, memory, has_room)]
}

/// nf_conntrack_max belongs to the host, so a test does not change it.
fn has_room() -> Result<(), String> {
    let limit = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max");
    let limit = limit.map_err(|error| format!("nf_conntrack_max: {error}"))?;
    match limit.trim().parse::<u32>() {
        Ok(limit) if limit <= MANY => Err(format!("nf_conntrack_max is {limit}")),
        _ => Ok(()),
    }
}

async fn memory() {
    let handle = connect();
    fill(&handle).await;

    let before = memory_now();
    let read = count(&handle, Duration::ZERO).await;
    assert_eq!(read, MANY);
    let grown = memory_peak() - before;
    assert!(grown < CONSTANT, "a stream took {grown} KiB");

    let read = count(&handle, Duration::from_millis(100)).await;
    assert_eq!(read, MANY);
    let grown = memory_peak() - before;
    assert!(grown < CONSTANT, "a slow reader's stream took {grown} KiB");

    // The measurement must notice flows that a reader keeps.
    let flows = handle.list(Table::Conntrack).await.expect("a stream");
    let flows: Vec<Flow> = flows.try_collect().await.expect("flows");
    let kept = memory_peak() - before;
    assert!(kept > 5 * CONSTANT, "{} flows: {kept} KiB", flows.len());
}

/// Reads the table with ten pauses, and returns the number of flows.
async fn count(handle: &ConntrackHandle, pause: Duration) -> u32 {
    let mut flows = handle.list(Table::Conntrack).await.expect("a stream");
    let mut count = 0;
    loop {
        if count % (MANY / 10) == 0 {
            tokio::time::sleep(pause).await;
        }
        match flows.try_next().await.expect("a flow") {
            Some(_) => count += 1,
            None => return count,
        }
    }
}

/// Creates the flows, with 128 requests in flight.
async fn fill(handle: &ConntrackHandle) {
    let created = stream::iter(0..MANY)
        .map(|n| handle.create(flow(n)).into_future())
        .buffer_unordered(128)
        .try_collect::<()>();
    created.await.expect("to fill the table");
}

fn flow(n: u32) -> NewFlow {
    let client = Ipv4Addr::from_bits(0x0a00_0000 | n).into();
    let tuple = Tuple::udp(at(client, 4000), at(v4(250), 53));
    new(tuple.expect("one family"))
}

/// The current memory of the process, in KiB.
fn memory_now() -> u64 {
    status_of_process("VmRSS:")
}

/// The maximum memory of the process so far, in KiB.
fn memory_peak() -> u64 {
    status_of_process("VmHWM:")
}

fn status_of_process(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the process's status");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).expect(name)
}
