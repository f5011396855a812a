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
    /// Exports the table of this network namespace until it is stopped
    Serve(Box<ServeArgs>),
    /// Answers questions from the stream that all nodes publish to
    Fleet(FleetArgs),
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The name of this node [default: the host name]
    #[arg(long, env = "NODE_NAME")]
    pub node: Option<String>,
    /// Size in bytes of the queue for the kernel's events; the kernel doubles it
    #[arg(long, default_value_t = 64 << 20)]
    pub receive_buffer: usize,
    /// The maximum number of flows in memory [default: the limit of the table]
    #[arg(long)]
    pub limit: Option<usize>,

    /// Serves metrics on this address, at /metrics
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub prometheus: Option<SocketAddr>,
    /// Also serves metrics under the names of another exporter
    #[arg(long, requires = "prometheus")]
    pub compat: Option<Compat>,
    /// Counts flows by each part of --by, and shows the N largest counts
    #[arg(long, value_name = "N", requires = "prometheus", requires = "by",
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub top: Option<u16>,
    /// The parts of a flow that --top counts by
    #[arg(long, value_delimiter = ',', requires = "top")]
    pub by: Vec<By>,

    /// Sends flows and metrics to this OpenTelemetry collector, as OTLP over HTTP
    #[arg(long, value_name = "http://HOST:PORT")]
    pub otlp: Option<String>,
    /// The maximum number of records that wait in memory while the collector is slow or down
    #[arg(long, default_value_t = 32768, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub otlp_queue: u32,
    /// Sends metrics to the collector every this many seconds
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub otlp_interval: u64,

    /// Publishes flows to JetStream on this NATS server
    #[arg(long, value_name = "URL")]
    pub nats: Option<String>,
    #[command(flatten)]
    pub publish: PublishArgs,
}

#[derive(Debug, Clone, Args)]
pub struct PublishArgs {
    #[command(flatten)]
    pub stream: StreamArgs,
    /// The maximum size of the stream in bytes, if this program creates it; the oldest messages are
    /// removed first
    #[arg(long, default_value_t = 10 << 30)]
    pub stream_bytes: i64,
    /// The number of seconds for which the server recognizes repeated messages, if this program
    /// creates the stream
    #[arg(long, default_value_t = 120)]
    pub duplicate_window: u64,
    /// Also publishes the beginnings of flows
    #[arg(long)]
    pub begin: bool,
    /// Also publishes changes of flows
    #[arg(long)]
    pub change: bool,
    /// The maximum number of messages without an ACK from the server
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub in_flight: u32,
    /// The maximum bytes of messages that wait in memory while the server is slow or down
    #[arg(long, default_value_t = 32 << 20)]
    pub spool_memory: usize,
    /// A directory for messages that have no room in memory; they survive a restart
    #[arg(long, value_name = "DIRECTORY")]
    pub spool: Option<PathBuf>,
    /// The maximum size of that directory in bytes
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
    /// The names of node_exporter
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
    /// The NATS server
    #[arg(long, value_name = "URL", default_value = "nats://127.0.0.1:4222")]
    pub nats: String,
    #[command(flatten)]
    pub stream: StreamArgs,
    /// The number of seconds to look back
    #[arg(long, default_value_t = 3600)]
    pub since: u64,
    /// Continues with new messages until it is stopped
    #[arg(long)]
    pub follow: bool,
    #[command(subcommand)]
    pub question: Question,
}

#[derive(Debug, Clone, Subcommand)]
pub enum Question {
    /// The ended flows from or to this address, one JSON object per line
    Talked { address: IpAddr },
    /// The largest numbers of ended flows, with their bytes
    Top {
        /// The part of a flow to count by
        #[arg(long, default_value = "source")]
        by: By,
        /// The number of lines
        #[arg(long, default_value_t = 10)]
        n: usize,
    },
    /// The flows that had this translated source address and port at a time
    Nat {
        address: IpAddr,
        port: u16,
        /// The time, in RFC 3339 or in seconds since 1970 [default: any time since --since]
        #[arg(long)]
        at: Option<String>,
    },
    /// The losses of each node
    Lost,
}
