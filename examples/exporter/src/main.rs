//! The program: `serve` is the daemon of a node, `fleet` asks what all nodes have sent.

use clap::Parser;
use conntrack_exporter::args::{Cli, Command};
use conntrack_exporter::{Result, fleet, serve};
use tracing_subscriber::EnvFilter;

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
