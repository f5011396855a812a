//! The measured programs, each in its own process.

use std::time::{Duration, Instant};

use ctnetlink::{Flow, Table};
#[cfg(ctnetlink_peers)]
use futures::StreamExt;
use futures::TryStreamExt;

use crate::common::process::Outcome;
use crate::common::raw::Raw;
use crate::common::{conntrack, current_thread, message};
use crate::{
    COLLECTED, CONNTRACK, CURRENT, MULTI, NLINK, RAW, SLOW, TIMER_FLUSH, TIMER_IDLE, TIMER_LIST,
    TIMER_NOTHING, timer,
};

/// The number of pauses of the slow reader, spread over the list.
const NAPS: usize = 50;
const NAP: Duration = Duration::from_millis(20);

/// Runs one program on a table of `flows` flows; `None` if it is not on this machine.
pub(crate) fn run(name: &str, flows: usize) -> Option<Outcome> {
    Some(match name {
        RAW => raw(),
        CURRENT => {
            let runtime = current_thread();
            let start = Instant::now();
            Outcome::new(start, runtime.block_on(list()))
        }
        MULTI => {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let start = Instant::now();
            let count = runtime.block_on(async { tokio::spawn(list()).await });
            Outcome::new(start, count.expect("the list"))
        }
        SLOW => {
            let runtime = current_thread();
            let start = Instant::now();
            Outcome::new(start, runtime.block_on(list_slowly((flows / NAPS).max(1))))
        }
        COLLECTED => {
            let runtime = current_thread();
            let start = Instant::now();
            let flows: Vec<Flow> = runtime.block_on(collect());
            Outcome::new(start, flows.len())
        }
        CONNTRACK => return conntrack::run(&["-L"]),
        #[cfg(ctnetlink_peers)]
        NLINK => {
            let runtime = current_thread();
            let start = Instant::now();
            Outcome::new(start, runtime.block_on(nlink()))
        }
        #[cfg(not(ctnetlink_peers))]
        NLINK => return None,
        TIMER_IDLE => timer::idle(),
        TIMER_LIST => timer::list(),
        TIMER_NOTHING => timer::nothing(),
        TIMER_FLUSH => timer::flush(),
        _ => panic!("{name} is not a program of this bench"),
    })
}

/// The minimum work for a dump: receives datagrams, and counts their messages by the lengths in the
/// headers.
fn raw() -> Outcome {
    let start = Instant::now();
    let mut count = 0;
    Raw::open().dump(
        |_| {},
        |datagram| count += message::messages(datagram).count(),
    );
    Outcome::new(start, count)
}

pub(crate) async fn list() -> usize {
    let handle = ctnetlink::connect().await.expect("a connection");
    let mut flows = handle.list(Table::Conntrack).await.expect("a list");
    let mut count = 0;
    while let Some(flow) = flows.try_next().await.expect("a flow") {
        std::hint::black_box(&flow);
        count += 1;
    }
    count
}

async fn list_slowly(every: usize) -> usize {
    let handle = ctnetlink::connect().await.expect("a connection");
    let mut flows = handle.list(Table::Conntrack).await.expect("a list");
    let mut count = 0;
    while let Some(flow) = flows.try_next().await.expect("a flow") {
        std::hint::black_box(&flow);
        count += 1;
        if count % every == 0 {
            tokio::time::sleep(NAP).await;
        }
    }
    count
}

async fn collect() -> Vec<Flow> {
    let handle = ctnetlink::connect().await.expect("a connection");
    let flows = handle.list(Table::Conntrack).await.expect("a list");
    flows.try_collect().await.expect("flows")
}

#[cfg(ctnetlink_peers)]
async fn nlink() -> usize {
    const BOTH_FAMILIES: u8 = 0;
    let connection =
        nlink::Connection::<nlink::netlink::Netfilter>::new().expect("a connection of nlink");
    let mut flows = connection
        .stream_conntrack(BOTH_FAMILIES)
        .await
        .expect("a list of nlink");
    let mut count = 0;
    while let Some(flow) = flows.next().await {
        std::hint::black_box(&flow.expect("a flow of nlink"));
        count += 1;
    }
    count
}
