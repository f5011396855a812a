//! The table for programs without a runtime: each call waits for its answer.
//!
//! A [`Client`] has a [`ConntrackHandle`] and a current-thread runtime in which it waits. A few
//! verbs are methods; all others, and all builders, go through [`Client::wait`] and
//! [`Client::iter`].
//!
//! ```standalone_crate
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
//! # fn main() { alone(|| {
//! use ctnetlink::{Filter, Protocol, Table, blocking};
//!
//! let client = blocking::connect()?;
//! for flow in client.list(Table::Conntrack)? {
//!     println!("{}", flow?);
//! }
//!
//! let dns = Filter::builder().protocol(Protocol::UDP).orig_dst_port(53).build()?;
//! let report = client.delete_matching(dns)?;
//! println!("{} deleted", report.applied);
//!
//! // Any other verb, with its builder:
//! client.wait(client.handle().flush(Table::Conntrack))?;
//! # Ok(()) }) }
//! ```
//!
//! # Panics
//!
//! Panics in an async context. There, use the [`ConntrackHandle`] itself.

use std::fmt;
use std::future::IntoFuture;
use std::ops::Deref;
use std::sync::Arc;

use futures_core::Stream;
use futures_util::StreamExt;
use tokio::runtime::{Builder, Runtime};

use crate::connection::Options;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::flow::{Flow, FlowKey};
use crate::handle::ConntrackHandle;
use crate::request::{Report, Table};
use crate::stream::{EventStream, FlowStream};

/// Opens the table of the current thread's network namespace.
///
/// # Errors
///
/// Those of [`Options::connect`]: [`PermissionDenied`](crate::ErrorKind::PermissionDenied) without
/// `CAP_NET_ADMIN`.
pub fn connect() -> Result<Client> {
    Client::open(Options::new())
}

/// A connection whose calls wait for their answers. Clones share it.
///
/// Only the waiting calls drive the connection. Between calls, nothing runs.
#[derive(Clone)]
pub struct Client {
    runtime: Arc<Waiting>,
    handle: ConntrackHandle,
}

impl Client {
    /// Opens a connection with options.
    ///
    /// # Errors
    ///
    /// Those of [`Options::connect`], and [`Io`](crate::ErrorKind::Io) if a runtime cannot be
    /// built.
    pub fn open(options: Options) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|cause| Error::io("building a runtime", cause))?;
        let runtime = Arc::new(Waiting(Some(runtime)));
        let handle = runtime.block_on(options.connect())?;
        Ok(Self { runtime, handle })
    }

    /// The handle, whose verbs return the builders.
    pub fn handle(&self) -> &ConntrackHandle {
        &self.handle
    }

    /// Waits for a request.
    pub fn wait<F: IntoFuture>(&self, request: F) -> F::Output {
        let request = request.into_future();
        self.runtime.block_on(request)
    }

    /// Waits for a request that returns a stream, and returns the stream as an iterator.
    ///
    /// # Errors
    ///
    /// The errors of the request.
    pub fn iter<F, S>(&self, request: F) -> Result<Iter<S>>
    where
        F: IntoFuture<Output = Result<S>>,
        S: Stream + Unpin,
    {
        Ok(Iter {
            stream: self.wait(request)?,
            runtime: self.runtime.clone(),
        })
    }

    /// Lists the flows of a table: [`ConntrackHandle::list`], `conntrack -L`.
    ///
    /// # Errors
    ///
    /// The errors of the verb. Later errors are items of the iterator.
    pub fn list(&self, table: Table) -> Result<Iter<FlowStream>> {
        self.iter(self.handle.list(table))
    }

    /// Gets one flow; `None` if it is not in the table: [`ConntrackHandle::get`], `conntrack -G`.
    ///
    /// # Errors
    ///
    /// Those of the verb.
    pub fn get(&self, key: impl Into<FlowKey>) -> Result<Option<Flow>> {
        self.wait(self.handle.get(key))
    }

    /// Deletes the flows that match: [`ConntrackHandle::delete_matching`], `conntrack -D`.
    ///
    /// # Errors
    ///
    /// The errors of the verb. Flows that could not be deleted are in the report.
    pub fn delete_matching(&self, filter: Filter) -> Result<Report> {
        self.wait(self.handle.delete_matching(filter))
    }

    /// Listens to events of flows, as an endless iterator: [`ConntrackHandle::events`], `conntrack
    /// -E`.
    ///
    /// Events wait in the socket's queue while the program does other work. Events that have no
    /// room are reported as lost.
    ///
    /// # Errors
    ///
    /// Those of the verb.
    pub fn events(&self) -> Result<Iter<EventStream>> {
        self.iter(self.handle.events())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// An iterator over a stream: `next` waits for the next item.
///
/// Dropping it drops the stream: a list ends its walk, and events close their socket.
pub struct Iter<S> {
    stream: S,
    runtime: Arc<Waiting>,
}

impl<S> Iter<S> {
    /// The stream itself, for its other methods.
    pub fn stream(&self) -> &S {
        &self.stream
    }
}

impl<S: Stream + Unpin> Iterator for Iter<S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        self.runtime.block_on(self.stream.next())
    }
}

impl<S: fmt::Debug> fmt::Debug for Iter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Iter").field(&self.stream).finish()
    }
}

/// A runtime that can be dropped anywhere. A plain runtime panics if it is dropped in an async
/// context.
struct Waiting(Option<Runtime>);

impl Deref for Waiting {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        // Only `drop` takes it.
        self.0.as_ref().expect("a runtime until it is dropped")
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
