//! A mirror that runs without reporting its changes.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::{Mirror, MirrorReader};
use crate::error::{Error, Result};

/// Keeps a mirror up to date: from [`Mirror::run`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct RunMirror(Mirror);

impl RunMirror {
    pub(super) fn new(mirror: Mirror) -> Self {
        Self(mirror)
    }

    /// Returns a reader of the mirror.
    pub fn reader(&self) -> MirrorReader {
        self.0.reader()
    }
}

impl Future for RunMirror {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            match ready!(Pin::new(&mut self.0).poll_next(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) if self.0.is_done => return Poll::Ready(Err(error)),
                Some(Err(error)) => {
                    tracing::warn!(target: "ctnetlink", %error, "the mirror tries again");
                }
                None => return Poll::Ready(Err(Error::closed())),
            }
        }
    }
}
