//! Sends the flows through a channel to another task, which counts them by protocol.
//!
//! `cargo run --example to_channel`, with `CAP_NET_ADMIN`.

#[macro_use]
#[path = "common/println.rs"]
mod println;

use std::collections::BTreeMap;
use std::error::Error;

use ctnetlink::{Flow, Protocol, Table};
use futures::TryStreamExt;
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let handle = ctnetlink::connect().await?;
    let (sender, receiver) = mpsc::channel(64);
    let summary = tokio::spawn(summarise(receiver));

    // A slow reader blocks this loop, and this loop blocks the kernel. Nothing piles up, and
    // nothing is lost.
    let mut flows = handle.list(Table::Conntrack).await?;
    while let Some(flow) = flows.try_next().await? {
        sender.send(flow).await?;
    }
    drop(sender);

    for (protocol, count) in summary.await? {
        println!("{protocol}: {count} flows");
    }
    Ok(())
}

async fn summarise(mut flows: mpsc::Receiver<Flow>) -> BTreeMap<Protocol, usize> {
    let mut counts = BTreeMap::new();
    while let Some(flow) = flows.recv().await {
        *counts.entry(flow.orig.protocol()).or_default() += 1;
    }
    counts
}
