//! A daemon for each node, which exports the flows and statistics of its connection tracking table.
//! README.md describes its use.

pub mod acks;
pub mod args;
pub mod class;
pub mod family;
pub mod fleet;
pub mod http;
pub mod kernel;
pub mod message;
pub mod metrics;
pub mod otlp;
pub mod page;
pub mod publisher;
pub mod pump;
pub mod ranking;
pub mod serve;
pub mod spool;

/// An error that ends the program, and is printed.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T = ()> = std::result::Result<T, Error>;
