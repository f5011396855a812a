//! Opening: options, the connection and its first handle.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::handle::ConntrackHandle;
use crate::transport::Lanes;
use crate::transport::control::{self, Lane};
use crate::transport::netns::{Namespace, NetworkNamespace};
use crate::transport::release::Release;

/// The request timeout where none is set.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The background task of a handle and its clones: it multiplexes their requests on one netlink
/// socket.
///
/// Spawn it. It resolves to `Ok(())` once the last handle and the last stream are gone, and to
/// the error where the socket failed. Whoever still waits then gets
/// [`ErrorKind::Closed`](crate::ErrorKind::Closed).
///
/// # Cancellation
///
/// Dropping it closes the socket; requests under way may have taken effect.
#[derive(Debug)]
#[must_use = "requests are answered only while the connection is polled: spawn it"]
pub struct Connection(Lane);

impl Future for Connection {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.0.poll(cx)
    }
}

/// How to open a connection.
///
/// ```no_run
/// # use std::time::Duration;
/// # async fn open() -> ctnetlink::Result<()> {
/// let handle = ctnetlink::Options::new()
///     .network_namespace("/run/netns/blue")
///     .request_timeout(Duration::from_secs(5))
///     .connect()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is opened before new_connection or connect"]
pub struct Options {
    namespace: Option<NetworkNamespace>,
    timeout: Duration,
    receive_buffer: Option<usize>,
}

impl Options {
    /// The current thread's network namespace, and a timeout of 30 s.
    pub fn new() -> Self {
        Self {
            namespace: None,
            timeout: TIMEOUT,
            receive_buffer: None,
        }
    }

    /// The table of this network namespace: a path, or an open file of it.
    ///
    /// The connection's sockets are opened there; no thread of the program's changes its
    /// namespace. Entering another namespace needs `CAP_SYS_ADMIN`.
    pub fn network_namespace(mut self, namespace: impl Into<NetworkNamespace>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// How long a request may take, from its first poll on: also in line behind others, and, for
    /// a walk of the table, until its first answer.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Asks for this many bytes of receive queue for the connection's socket, and for those of bulk
    /// requests; the kernel doubles the number, up to `net.core.rmem_max`. The default, 212 992 on
    /// most machines, is enough for all that is ever under way. Bulk requests keep within a smaller
    /// one, by fewer requests in a send.
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// Opens the connection. Spawn the [`Connection`] before you await a request, in the runtime
    /// that it is opened in.
    ///
    /// It asks the kernel, in a system call of microseconds that waits where a flush, or the start
    /// of a list, is under way on the machine.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where the kernel lacks ctnetlink,
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied) where the caller lacks
    /// `CAP_NET_ADMIN` over the namespace or may not enter it, [`Io`](crate::ErrorKind::Io) where
    /// there is no such namespace, a socket cannot be opened, or there is no tokio runtime.
    ///
    /// # Panics
    ///
    /// In a tokio runtime without I/O. Requests panic in one without time. `enable_all` gives both.
    pub fn new_connection(self) -> Result<(Connection, ConntrackHandle)> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| no_runtime())?;
        let namespace = match self.namespace {
            Some(namespace) => Namespace::open(namespace)?,
            None => Namespace::current()?,
        };
        let (lane, client) = namespace.within(|| {
            let _runtime = runtime.enter();
            control::open(self.receive_buffer)
        })?;
        let lanes = Lanes {
            control: client,
            namespace,
            release: Release::running()?,
            timeout: self.timeout,
            receive_buffer: self.receive_buffer,
        };
        Ok((Connection(lane), ConntrackHandle::new(lanes)))
    }

    /// Opens the connection and spawns it on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// As [`new_connection`](Self::new_connection).
    pub fn connect(self) -> Result<ConntrackHandle> {
        let (connection, handle) = self.new_connection()?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::error!(%error, "the connection ended");
            }
        });
        Ok(handle)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

/// Opens a connection to the table of the current thread's network namespace.
///
/// # Errors
///
/// As [`Options::new_connection`].
///
/// ```no_run
/// # async fn open() -> ctnetlink::Result<()> {
/// let (connection, handle) = ctnetlink::new_connection()?;
/// tokio::spawn(connection);
/// # Ok(())
/// # }
/// ```
pub fn new_connection() -> Result<(Connection, ConntrackHandle)> {
    Options::new().new_connection()
}

/// Opens a connection as [`new_connection`] does, and spawns it on the current tokio runtime.
///
/// # Errors
///
/// As [`Options::new_connection`].
pub fn connect() -> Result<ConntrackHandle> {
    Options::new().connect()
}

fn no_runtime() -> Error {
    Error::io(
        "opening a connection",
        std::io::Error::other("there is no tokio runtime here: call it inside one"),
    )
}
