//! The clean-up of a service proxy: deletes the UDP flows to an endpoint that was removed.
//!
//! `cargo run --example delete_stale -- ADDRESS [PORT]`, with `CAP_NET_ADMIN`.
//!
//! Clients send to the address of the service, and a rule of the proxy translates it to the address
//! of an endpoint. The rule applies only to the first packet of a flow. A client that continues to
//! send keeps its flow, and its packets go to the removed endpoint until the flow is deleted. The
//! endpoint is the source of the reply direction.

#[macro_use]
#[path = "common/println.rs"]
mod println;

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
