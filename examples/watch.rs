//! Prints the events of this network namespace, as `conntrack -E` does, and at the end how many there were.
//!
//! `sudo cargo run --example watch`; Ctrl-C ends it.

use ctnetlink::Event;
use futures::{StreamExt, TryStreamExt};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let handle = ctnetlink::connect().await?;
    let stop = std::pin::pin!(tokio::signal::ctrl_c());
    let mut events = handle.events().await?.take_until(stop);
    while let Some(event) = events.try_next().await? {
        match event {
            Event::Overrun { lost } => eprintln!("{lost} events were lost here"),
            event => println!("{event:#}"),
        }
    }
    let stats = events.get_ref().stats();
    println!("{} events received, {} lost", stats.received, stats.lost);
    Ok(())
}
