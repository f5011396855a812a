//! Adds labels to the first flow of the table. Its other labels stay.
//!
//! `cargo run --example set_labels [-- NUMBER...]`, with `CAP_NET_ADMIN`. A flow has room for
//! labels only if a rule of the namespace used labels when the flow was created.

#[macro_use]
#[path = "common/println.rs"]
mod println;

use std::error::Error;

use ctnetlink::{LabelMap, Labels, Masked, Table};
use futures::TryStreamExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut labels = Labels::EMPTY;
    for number in std::env::args().skip(1) {
        labels |= Labels::bit(number.parse()?)?;
    }
    if labels.is_empty() {
        labels = Labels::bit(1)? | Labels::bit(127)?;
    }

    let handle = ctnetlink::connect().await?;
    let first = handle.list(Table::Conntrack).await?.try_next().await?;
    let Some(flow) = first else {
        println!("The table is empty: there is nothing to label.");
        return Ok(());
    };
    println!("{flow}");
    println!("before: {}", flow.labels.unwrap_or_default());

    // The mask limits the change to these labels.
    handle
        .set_labels(&flow, Masked::new(labels, labels))
        .await?;

    let flow = handle.get(&flow).await?.ok_or("the flow has ended")?;
    let labels = flow.labels.unwrap_or_default();
    println!("after: {labels}");

    if let Ok(map) = LabelMap::load() {
        let names: Vec<_> = map.names(labels).collect();
        println!("by name: {}", names.join(", "));
    }
    Ok(())
}
