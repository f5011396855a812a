//! One daemon a node: the flows of its connection tracking table and its statistics, for engines that
//! exist. README.md says how it is used.

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

/// What ends the program is told to whoever started it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T = ()> = std::result::Result<T, Error>;
