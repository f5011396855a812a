//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Conntrack flows and statistics to Prometheus, OpenTelemetry and NATS JetStream.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Exports the table of this network namespace until it is stopped.
    Serve(Box<ServeArgs>),
    /// Asks the stream that all nodes publish to.
    Fleet(FleetArgs),
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The name of this node [default: the host name]
    #[arg(long, env = "NODE_NAME")]
    pub node: Option<String>,
    /// Bytes of queue for the kernel's events; the kernel doubles it
    #[arg(long, default_value_t = 64 << 20)]
    pub receive_buffer: usize,
    /// Holds this many flows at the most [default: as many as the table has]
    #[arg(long)]
    pub limit: Option<usize>,

    /// Serves metrics on this address, at /metrics
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub prometheus: Option<SocketAddr>,
    /// Also serves the metrics under the names of another exporter
    #[arg(long, requires = "prometheus")]
    pub compat: Option<Compat>,
    /// Counts flows by a part of them, and shows the N largest numbers
    #[arg(long, value_name = "N", requires = "prometheus", requires = "by",
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub top: Option<u16>,
    /// The parts that --top counts by
    #[arg(long, value_delimiter = ',', requires = "top")]
    pub by: Vec<By>,

    /// Sends flows and metrics to this collector, as OTLP over HTTP
    #[arg(long, value_name = "http://HOST:PORT")]
    pub otlp: Option<String>,
    /// Records that wait in memory while the collector is slow or away
    #[arg(long, default_value_t = 32768, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub otlp_queue: u32,
    /// Seconds between metrics for the collector
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub otlp_interval: u64,

    /// Publishes flows to the JetStream of this server
    #[arg(long, value_name = "URL")]
    pub nats: Option<String>,
    #[command(flatten)]
    pub publish: PublishArgs,
}

#[derive(Debug, Clone, Args)]
pub struct PublishArgs {
    #[command(flatten)]
    pub stream: StreamArgs,
    /// Bytes that the stream keeps, where this program makes it; the oldest go first
    #[arg(long, default_value_t = 10 << 30)]
    pub stream_bytes: i64,
    /// Seconds within which the server knows a message that it has, where this program makes the stream
    #[arg(long, default_value_t = 120)]
    pub duplicate_window: u64,
    /// Publishes the beginning of flows, too
    #[arg(long)]
    pub begin: bool,
    /// Publishes changes of flows, too
    #[arg(long)]
    pub change: bool,
    /// Messages that may wait for the server's ACK
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub in_flight: u32,
    /// Bytes of messages that wait in memory while the server is slow or away
    #[arg(long, default_value_t = 32 << 20)]
    pub spool_memory: usize,
    /// A directory for what does not fit there; it survives a restart
    #[arg(long, value_name = "DIRECTORY")]
    pub spool: Option<PathBuf>,
    /// Bytes that the directory may hold
    #[arg(long, default_value_t = 1 << 30)]
    pub spool_disk: u64,
}

#[derive(Debug, Clone, Args)]
pub struct StreamArgs {
    /// The name of the stream
    #[arg(long, default_value = "conntrack")]
    pub stream: String,
    /// A file with the credentials for the server
    #[arg(long, value_name = "FILE")]
    pub nats_credentials: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Compat {
    /// node_exporter's
    Node,
}

/// A part of a flow that can be counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum By {
    /// The source address of the original direction
    Source,
    /// The destination address of the original direction
    Destination,
    /// The destination port of the original direction
    Port,
    /// The zone
    Zone,
    /// The mark
    Mark,
}

#[derive(Debug, Args)]
pub struct FleetArgs {
    /// The server
    #[arg(long, value_name = "URL", default_value = "nats://127.0.0.1:4222")]
    pub nats: String,
    #[command(flatten)]
    pub stream: StreamArgs,
    /// How far to look back, in seconds
    #[arg(long, default_value_t = 3600)]
    pub since: u64,
    /// Goes on with what comes
    #[arg(long)]
    pub follow: bool,
    #[command(subcommand)]
    pub question: Question,
}

#[derive(Debug, Clone, Subcommand)]
pub enum Question {
    /// Who talked to this address, or it to whom: the ended flows, a JSON object a line
    Talked { address: IpAddr },
    /// The largest numbers of ended flows, and their bytes
    Top {
        /// What to count by
        #[arg(long, default_value = "source")]
        by: By,
        /// How many
        #[arg(long, default_value_t = 10)]
        n: usize,
    },
    /// The flows that had this translated source address and port at a time
    Nat {
        address: IpAddr,
        port: u16,
        /// RFC 3339, or seconds since 1970; without it, all that the look back finds
        #[arg(long)]
        at: Option<String>,
    },
    /// What was lost, by node
    Lost,
}
