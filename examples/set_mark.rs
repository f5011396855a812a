//! Marks the first flow of the table, and shows the table before and after.
//!
//! `cargo run --example set_mark [-- MARK]`, with `CAP_NET_ADMIN`.

#[macro_use]
#[path = "common/println.rs"]
mod println;

use std::error::Error;

use ctnetlink::{ConntrackHandle, Flow, Table};
use futures::TryStreamExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mark: u32 = std::env::args().nth(1).as_deref().unwrap_or("1").parse()?;

    let handle = ctnetlink::connect().await?;
    let flows = show(&handle, "before").await?;
    let Some(flow) = flows.first() else {
        println!("The table is empty: there is nothing to mark.");
        return Ok(());
    };

    // A flow may end at any time, so this is not a failure.
    match handle.set_mark(flow, mark).await {
        Err(error) if error.is_not_found() => println!("\nThe flow has ended meanwhile."),
        marked => marked?,
    }

    show(&handle, "\nafter").await?;
    Ok(())
}

async fn show(handle: &ConntrackHandle, title: &str) -> ctnetlink::Result<Vec<Flow>> {
    let flows: Vec<_> = handle.list(Table::Conntrack).await?.try_collect().await?;
    println!("{title}:");
    for flow in &flows {
        println!("  {flow}");
    }
    Ok(flows)
}
