//! A socket that wakes its reader: by the reactor, or, the fake's, by itself.

use std::io;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::socket::Socket;
use crate::error::{Error, Result};

/// An error can come without a datagram.
const NEWS: Interest = Interest::READABLE.add(Interest::ERROR);

#[derive(Debug)]
pub(super) enum Watched {
    Kernel(AsyncFd<Socket>),
    #[cfg(any(test, feature = "testing"))]
    Fake(Socket),
}

impl Watched {
    pub(super) fn new(socket: Socket) -> Result<Self> {
        #[cfg(any(test, feature = "testing"))]
        if socket.as_fake().is_some() {
            return Ok(Self::Fake(socket));
        }
        // What takes its place is unsafe: it asks for a descriptor that stays the same, as a socket's
        // does, which it owns.
        #[allow(deprecated)]
        let socket = AsyncFd::with_interest(socket, NEWS)
            .map_err(|cause| Error::io("registering a socket with the runtime", cause))?;
        Ok(Self::Kernel(socket))
    }

    pub(super) fn socket(&self) -> &Socket {
        match self {
            Self::Kernel(socket) => socket.get_ref(),
            #[cfg(any(test, feature = "testing"))]
            Self::Fake(socket) => socket,
        }
    }

    /// Waits until there may be something to receive.
    pub(super) async fn ready(&self) -> io::Result<()> {
        match self {
            Self::Kernel(socket) => socket.ready(NEWS).await.map(drop),
            #[cfg(any(test, feature = "testing"))]
            Self::Fake(socket) => {
                if let Some(fake) = socket.as_fake() {
                    std::future::poll_fn(|cx| fake.poll_readable(cx)).await;
                }
                Ok(())
            }
        }
    }

    /// Receives. Where there is nothing, the readiness is taken back, unless there is news meanwhile:
    /// each kind on its own, for tokio knows of no `try_io` with two.
    pub(super) fn try_io(
        &self,
        mut receive: impl FnMut(&Socket) -> io::Result<()>,
    ) -> io::Result<()> {
        match self {
            Self::Kernel(socket) => match socket.try_io(Interest::READABLE, &mut receive) {
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                    socket.try_io(Interest::ERROR, &mut receive)
                }
                received => received,
            },
            #[cfg(any(test, feature = "testing"))]
            Self::Fake(socket) => receive(socket),
        }
    }
}
