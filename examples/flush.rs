//! Removes all flows of its network namespace, or only those of one family.
//!
//! `cargo run --example flush -- [ipv4 | ipv6] [--yes]`, with `CAP_NET_ADMIN`. Without `--yes` it
//! only counts them, because connections with NAT break when their flow is removed.

#[macro_use]
#[path = "common/println.rs"]
mod println;

use std::error::Error;

use ctnetlink::{ConntrackHandle, Family, Table};
use futures::TryStreamExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (mut family, mut yes) = (None, false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "ipv4" => family = Some(Family::Ipv4),
            "ipv6" => family = Some(Family::Ipv6),
            "--yes" => yes = true,
            other => {
                return Err(
                    format!("usage: flush [ipv4 | ipv6] [--yes]; {other} is unknown").into(),
                );
            }
        }
    }

    let handle = ctnetlink::connect().await?;
    count(&handle, "before").await?;
    if !yes {
        println!("Nothing was removed. Add --yes to remove the flows.");
        return Ok(());
    }

    let flush = handle.flush(Table::Conntrack);
    match family {
        Some(family) => flush.family(family).await?,
        None => flush.await?,
    }

    count(&handle, "after").await?;
    Ok(())
}

async fn count(handle: &ConntrackHandle, when: &str) -> ctnetlink::Result<()> {
    let (mut ipv4, mut ipv6) = (0, 0);
    let mut flows = handle.list(Table::Conntrack).await?;
    while let Some(flow) = flows.try_next().await? {
        match flow.family() {
            Family::Ipv4 => ipv4 += 1,
            Family::Ipv6 => ipv6 += 1,
        }
    }
    println!("{when}: {ipv4} IPv4 flows, {ipv6} IPv6 flows");
    Ok(())
}
