//! Shows the main verbs on real flows, in a new network namespace.
//!
//! `cargo run --example tour`, as any user and without set-up. It touches no other namespace.

#[macro_use]
#[path = "common/println.rs"]
mod println;

// A part of the test support.
#[allow(dead_code, unreachable_pub, unused_imports)]
#[path = "../tests/support"]
mod support {
    pub mod loopback;
    pub mod namespace;
    pub mod nft;
    pub mod patience;
    pub mod traffic;
    pub mod visible;
}

use ctnetlink::{ConntrackHandle, Family, Labels, Masked, Table, Tuple};
use futures::{FutureExt, StreamExt, TryStreamExt};
use support::{namespace, nft, visible};

type Result = std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Result {
    if let Err(reason) = namespace::enter() {
        eprintln!("The tour needs a network namespace of its own: {reason}");
        return Ok(());
    }
    namespace::isolated(|| namespace::block_on(tour()))
}

async fn tour() -> Result {
    println!("nftables: rules that make the kernel track, with room for labels; then traffic");
    let _rules = [nft::track()?, nft::labels()?];
    let handle = ctnetlink::connect().await?;
    let mut events = handle.events().await?;
    let (v4, v6) = ("127.0.0.1".parse()?, "::1".parse()?);
    let (tcp, _) = visible::tcp(&handle, (v4, 0).into()).await?;
    let _tcp6 = visible::tcp(&handle, (v6, 0).into()).await?;
    for ip in [v4, v6] {
        visible::udp(&handle, (ip, 0).into()).await?;
        visible::ping(&handle, ip, ip, 7).await?;
    }
    show(&handle, "list: every flow, IPv4 and IPv6").await?;

    let tuple = Tuple::tcp(tcp.source, tcp.destination)?;
    let flow = handle.get(tuple).await?.ok_or("it is gone")?;
    println!("\nget: one flow, by its addresses and ports\n  {flow:#}");
    handle.set_mark(&flow, 160).await?;
    handle.set_mark(&flow, Masked::new(5, 0x0f)).await?;
    let marked = handle.get(&flow).await?.ok_or("it is gone")?;
    println!("\nset_mark: to 160, then the low four bits to 5\n  {marked}");
    let labels = Labels::bit(3)? | Labels::bit(127)?;
    handle.set_labels(&flow, labels).await?;
    let labels = handle.get(tuple).await?.and_then(|flow| flow.labels);
    println!("\nset_labels: two of the 128\n  {labels:?}");
    handle.delete(&flow).await?;
    let again = handle.delete(&flow).await;
    println!("\ndelete: that flow; a second time it is gone\n  {again:?}");
    handle.flush(Table::Conntrack).family(Family::Ipv6).await?;
    show(&handle, "flush: of IPv6; IPv4 stays").await?;
    handle.flush(Table::Conntrack).await?;
    show(&handle, "flush: of everything").await?;

    println!("\nevents: what the tour did, as the kernel told of it");
    while let Some(event) = events.next().now_or_never().flatten().transpose()? {
        println!("  {event}");
    }
    let stats = events.stats();
    println!("  {} received, {} lost", stats.received, stats.lost);

    let preflight = handle.preflight().await?;
    println!("\npreflight: what is missing here, and the cure\n{preflight}");
    Ok(())
}

async fn show(handle: &ConntrackHandle, title: &str) -> Result {
    let flows: Vec<_> = handle.list(Table::Conntrack).await?.try_collect().await?;
    println!("\n{title}: {} flows", flows.len());
    flows.iter().for_each(|flow| println!("  {flow}"));
    Ok(())
}
