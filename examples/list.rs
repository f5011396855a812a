//! Lists the flows of its network namespace, as `conntrack -L` does.
//!
//! `cargo run --example list [-- ipv4 | ipv6]`, with `CAP_NET_ADMIN`.

use std::error::Error;
use std::io::Write;

use ctnetlink::{Family, Table};
use futures::TryStreamExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let family = match std::env::args().nth(1).as_deref() {
        None => None,
        Some("ipv4") => Some(Family::Ipv4),
        Some("ipv6") => Some(Family::Ipv6),
        Some(other) => return Err(format!("usage: list [ipv4 | ipv6]; {other} is neither").into()),
    };

    let handle = ctnetlink::connect().await?;
    let list = handle.list(Table::Conntrack);
    let mut flows = match family {
        Some(family) => list.family(family).await?,
        None => list.await?,
    };

    // It reads one flow at a time, so memory does not grow with the table.
    let mut out = std::io::stdout();
    let mut count = 0;
    while let Some(flow) = flows.try_next().await? {
        if writeln!(out, "{flow}").is_err() {
            break; // The reader of a pipe is gone.
        }
        count += 1;
    }
    eprintln!("{count} flow entries have been shown.");
    Ok(())
}
