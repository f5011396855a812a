//! The program. `serve` is the daemon of a node, and `fleet` answers questions about all nodes.

use clap::Parser;
use conntrack_exporter::args::{Cli, Command};
use conntrack_exporter::{Result, fleet, serve};
use mimalloc::MiMalloc;
use tracing_subscriber::EnvFilter;

/// A message needs about twenty small allocations, which one thread makes and another frees. The
/// system's allocator needs a quarter of the exporter's time for that.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> Result {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match Cli::parse().command {
        Command::Serve(args) => serve::serve(*args).await,
        Command::Fleet(args) => fleet::fleet(args).await,
    }
}
