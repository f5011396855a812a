//! A service proxy's clean-up: deletes the UDP flows to an endpoint that was removed.
//!
//! `cargo run --example delete_stale -- ADDRESS [PORT]`, with `CAP_NET_ADMIN`.
//!
//! Clients of a service talk to its address, and the proxy's rule translates that to an endpoint's.
//! The rule is asked for a flow's first packet alone: a client that goes on sending keeps its flow,
//! and sends to nobody, until the flow is deleted. Who answers, after translation, is the source of
//! the reply direction.

use std::error::Error;
use std::net::IpAddr;

use ctnetlink::{Filter, IpNet, Table};
use futures::TryStreamExt;

const UDP: u8 = 17;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let endpoint: IpAddr = arguments
        .next()
        .ok_or("usage: delete_stale ADDRESS [PORT]")?
        .parse()?;
    let udp = Filter::builder().protocol(UDP);
    let mut stale = udp.clone().reply_src(IpNet::from(endpoint));
    if let Some(port) = arguments.next() {
        stale = stale.reply_src_port(port.parse::<u16>()?);
    }

    let handle = ctnetlink::connect().await?;
    let report = handle.delete_matching(stale.build()?).await?;
    println!("deleted: {}", report.applied);
    println!("ended by themselves meanwhile: {}", report.gone);
    for (key, error) in &report.failed {
        println!("not deleted: {}: {error}", key.tuple());
    }
    report.into_result()?;

    let left = handle.list(Table::Conntrack).filter(udp.build()?).await?;
    let left = left.try_fold(0, |count, _| async move { Ok(count + 1) });
    println!("UDP flows that stay: {}", left.await?);
    Ok(())
}
