//! Prints the events of its network namespace, as `conntrack -E` does, and their number at the end.
//!
//! `sudo cargo run --example watch`; Ctrl-C ends it.

use std::io::Write;

use ctnetlink::Event;
use futures::StreamExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let handle = ctnetlink::connect().await?;
    let stop = std::pin::pin!(tokio::signal::ctrl_c());
    let mut events = handle.events().await?.take_until(stop);
    let mut out = std::io::stdout();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Overrun { lost }) => eprintln!("{lost} events were lost here"),
            Ok(event) if writeln!(out, "{event:#}").is_err() => break, // The reader of a pipe is gone.
            Ok(_) => {}
            Err(error) => eprintln!("{error}"), // Of one event, unless it is the last item.
        }
    }
    let stats = events.get_ref().stats();
    let _ = writeln!(
        out,
        "{} events received, {} lost",
        stats.received, stats.lost
    );
    Ok(())
}
