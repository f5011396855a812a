//! Async tokio client for the Linux connection tracking table.

#[macro_use]
mod wire;
mod error;
#[macro_use]
mod flow;

pub use error::{Error, ErrorKind, Result};
pub use flow::*;
pub use wire::attr::DecodeError;
