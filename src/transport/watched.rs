//! A socket that wakes its reader. The reactor does that for a real socket; a fake socket does it
//! itself.

use std::io;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::socket::Socket;
use crate::error::{Error, Result};

/// The kernel can report an error without a datagram.
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
        // The replacement is unsafe: it requires that the descriptor never changes. That holds
        // here, because the socket owns it.
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

    /// Receives. If nothing is there, this clears the readiness, unless more has arrived meanwhile.
    /// It does so for each interest separately, because tokio's `try_io` takes only one.
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
