//! Opening a connection: the options, the connection and its first handle.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::error::Result;
use crate::handle::ConntrackHandle;
#[cfg(any(test, feature = "testing"))]
use crate::testing::Kernel;
use crate::transport::control::{self, Lane};
use crate::transport::netns::{Namespace, NetworkNamespace};
use crate::transport::release::Release;
use crate::transport::socket::Socket;
use crate::transport::{Lanes, Pool};

/// The default request timeout.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The background task of a handle and its clones: it multiplexes their requests on one netlink
/// socket.
///
/// Spawn it. It completes with `Ok(())` when the last handle and the last stream are dropped, and
/// with an error if the socket fails. Requests that still wait then fail with
/// [`ErrorKind::Closed`](crate::ErrorKind::Closed).
///
/// # Cancellation
///
/// Dropping it closes the socket. Requests in flight may have taken effect.
#[derive(Debug)]
#[must_use = "requests are answered only while the connection is polled: spawn it"]
pub struct Connection(Lane);

impl Connection {
    fn spawn(self) {
        tokio::spawn(async move {
            if let Err(error) = self.await {
                tracing::error!(target: "ctnetlink", %error, "the connection ended");
            }
        });
    }
}

impl Future for Connection {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.0.poll(cx)
    }
}

/// The options of a connection.
///
/// ```no_run
/// # use std::time::Duration;
/// # async fn open() -> ctnetlink::Result<()> {
/// let handle = ctnetlink::Options::new()
///     .network_namespace("/run/netns/blue")
///     .request_timeout(Duration::from_secs(5))
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is opened before new_connection or connect"]
pub struct Options {
    namespace: Option<NetworkNamespace>,
    timeout: Duration,
    receive_buffer: Option<usize>,
    #[cfg(any(test, feature = "testing"))]
    kernel: Option<Kernel>,
}

impl Options {
    /// Options for the current thread's network namespace, with a request timeout of 30 s.
    pub fn new() -> Self {
        Self {
            namespace: None,
            timeout: TIMEOUT,
            receive_buffer: None,
            #[cfg(any(test, feature = "testing"))]
            kernel: None,
        }
    }

    /// Opens the table of this network namespace: a path, or an open file of it.
    ///
    /// The connection's sockets are opened there. The program's own threads stay in their
    /// namespace. Entering another namespace needs `CAP_SYS_ADMIN`.
    pub fn network_namespace(mut self, namespace: impl Into<NetworkNamespace>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Opens the table of a fake kernel in the process. Feature `testing`.
    #[cfg(any(test, feature = "testing"))]
    pub fn kernel(mut self, kernel: &Kernel) -> Self {
        self.kernel = Some(kernel.clone());
        self
    }

    /// Sets how long a request may take, from its first poll on. The time that it waits behind
    /// other requests counts. For a walk of the table, it is the time until the first answer.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Asks for this many bytes of receive queue for the connection's socket, and for the sockets
    /// of bulk requests. The kernel doubles the number, up to `net.core.rmem_max`. The default, 212
    /// 992 on most machines, is always enough. With a smaller queue, fewer requests are sent at a
    /// time.
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// Opens the connection. Spawn the [`Connection`] before you await a request.
    ///
    /// It sends no request to connection tracking, so it takes microseconds, however busy the
    /// kernel is. The first request shows whether the kernel has ctnetlink.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied) if the caller lacks `CAP_NET_ADMIN`
    /// over the namespace or may not enter it, [`Unsupported`](crate::ErrorKind::Unsupported) if
    /// the kernel lacks nfnetlink, [`Io`](crate::ErrorKind::Io) if the namespace does not exist or
    /// a socket cannot be opened.
    pub fn new_connection(mut self) -> Result<(Connection, ConntrackHandle)> {
        let (namespace, socket, release) = self.place()?;
        socket.check_right()?;
        if let Some(bytes) = self.receive_buffer {
            socket.set_receive_queue(bytes)?;
        }
        self.open(namespace, socket, release)
    }

    /// The namespace, a first socket in it, and the release of its kernel.
    fn place(&mut self) -> Result<(Namespace, Socket, Release)> {
        #[cfg(any(test, feature = "testing"))]
        if let Some(kernel) = &self.kernel {
            return Ok((Namespace::fake(kernel), Socket::fake(kernel), kernel.into()));
        }
        let (namespace, socket) = match self.namespace.take() {
            Some(namespace) => Namespace::open(namespace)?,
            None => Namespace::current()?,
        };
        Ok((namespace, socket, Release::running()?))
    }

    fn open(
        self,
        namespace: Namespace,
        socket: Socket,
        release: Release,
    ) -> Result<(Connection, ConntrackHandle)> {
        let (lane, client) = control::open(socket)?;
        let lanes = Lanes {
            control: client,
            pool: Pool::new(),
            namespace,
            release,
            timeout: self.timeout,
            receive_buffer: self.receive_buffer,
        };
        Ok((Connection(lane), ConntrackHandle::new(lanes)))
    }

    /// Opens the connection, spawns it on the current tokio runtime, and makes a first request,
    /// which fails if the kernel has no ctnetlink.
    ///
    /// # Errors
    ///
    /// Those of [`new_connection`](Self::new_connection), and
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if the kernel lacks ctnetlink.
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes the connection.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or in one without time (`enable_time`, `enable_all`).
    pub async fn connect(self) -> Result<ConntrackHandle> {
        let (connection, handle) = self.new_connection()?;
        connection.spawn();
        handle.probe().await?;
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
/// Those of [`Options::new_connection`].
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

/// Opens a connection, spawns it on the current tokio runtime, and checks that the kernel answers.
///
/// # Errors
///
/// Those of [`Options::connect`].
///
/// # Cancellation
///
/// Dropping the future closes the connection.
///
/// # Panics
///
/// Panics outside of a tokio runtime, or in one without time.
pub async fn connect() -> Result<ConntrackHandle> {
    Options::new().connect().await
}

#[cfg(any(test, feature = "testing"))]
impl Kernel {
    /// Returns a handle to this kernel. Its connection runs on the current tokio runtime, which
    /// needs time (`enable_time`) but no I/O, and may be paused (`start_paused`).
    ///
    /// To open one with other options, use [`Options::kernel`].
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime, or in one without time.
    pub fn connect(&self) -> ConntrackHandle {
        let namespace = Namespace::fake(self);
        match Options::new().open(namespace, Socket::fake(self), self.into()) {
            Ok((connection, handle)) => {
                connection.spawn();
                handle
            }
            Err(error) => unreachable!("the sizes of queues in the process can be read: {error}"),
        }
    }
}

#[cfg(any(test, feature = "testing"))]
impl From<&Kernel> for Release {
    fn from(kernel: &Kernel) -> Self {
        let (major, minor) = kernel.version();
        Self(major, minor)
    }
}
