//! Async tokio client for the Linux connection tracking table.

#[macro_use]
mod wire;
mod connection;
mod error;
#[macro_use]
mod flow;
mod handle;
mod request;
mod stream;
mod text;
mod transport;

pub use connection::{Connection, Options, connect, new_connection};
pub use error::{Error, ErrorKind, Result};
pub use flow::*;
pub use handle::ConntrackHandle;
pub use request::{Create, Delete, Flush, Get, List, RequestFuture, Table, Update};
pub use stream::FlowStream;
pub use text::LabelMap;
pub use transport::netns::NetworkNamespace;
pub use wire::attr::DecodeError;
