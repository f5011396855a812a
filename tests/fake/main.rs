//! The crate on a kernel in the process: without root, a netlink socket or an I/O driver.

mod beside;
mod errors;
mod events;
mod faults;
mod lost;
mod mirror;
mod orders;
mod packets;
mod releases;
mod reliable;
mod rules;
mod turns;
mod verbs;
mod warnings;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use ctnetlink::testing::Kernel;
use ctnetlink::{ConntrackHandle, Flow, NewFlow, Options, Table, Tuple};
use futures::TryStreamExt;

/// Runs a test on a runtime with only a clock, which is paused.
fn run<F: Future<Output = ()>>(test: F) {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(test);
}

/// A handle with a short timeout.
async fn hasty(kernel: &Kernel) -> ConntrackHandle {
    let options = Options::new().kernel(kernel);
    let options = options.request_timeout(Duration::from_secs(1));
    options.connect().await.expect("a connection")
}

/// The tuple number `n`.
fn udp(n: u16) -> Tuple {
    let [high, low] = n.to_be_bytes();
    let src = SocketAddr::new([10, 1, high, low].into(), 4000);
    let dst = SocketAddr::new([10, 2, 0, 1].into(), 53);
    Tuple::udp(src, dst).expect("one family")
}

fn tcp(n: u16) -> Tuple {
    let tuple = udp(n);
    let port = |address, port: Option<u16>| SocketAddr::new(address, port.unwrap_or(0));
    let src = port(tuple.src(), tuple.src_port());
    let dst = port(tuple.dst(), tuple.dst_port());
    Tuple::tcp(src, dst).expect("one family")
}

fn new(n: u16) -> NewFlow {
    NewFlow::new(udp(n), Duration::from_secs(3600))
}

/// Puts this many flows into the table.
fn fill(kernel: &Kernel, flows: u16) {
    for n in 0..flows {
        let tuple = udp(n);
        kernel
            .insert(&Flow::new(tuple, tuple.inverse()))
            .expect("a flow");
    }
}

async fn list(handle: &ConntrackHandle) -> ctnetlink::Result<Vec<Flow>> {
    handle.list(Table::Conntrack).await?.try_collect().await
}
