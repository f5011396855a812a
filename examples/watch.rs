//! Prints the events of this network namespace, as `conntrack -E` does, and at the end how many there were.
//!
//! `sudo cargo run --example watch`; Ctrl-C ends it.

use ctnetlink::Event;
use futures::TryStreamExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let handle = ctnetlink::connect().await?;
    let mut events = handle.events().await?;
    let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            ended = &mut stop => {
                ended?;
                break;
            }
            event = events.try_next() => match event? {
                Some(Event::Overrun { lost }) => eprintln!("{lost} events were lost here"),
                Some(event) => println!("{event:#}"),
                None => break,
            }
        }
    }
    let stats = events.stats();
    println!("{} events received, {} lost", stats.received, stats.lost);
    Ok(())
}
