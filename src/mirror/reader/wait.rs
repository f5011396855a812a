//! The futures of a reader.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::mirror::status::Status;

type Waiting = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// Waits for a mirror to be in sync: from [`MirrorReader::synced`](super::MirrorReader::synced).
#[must_use = "futures do nothing unless polled"]
pub struct MirrorSynced(Waiting);

/// Waits for a mirror to change: from [`MirrorReader::changed`](super::MirrorReader::changed).
#[must_use = "futures do nothing unless polled"]
pub struct MirrorChanged(Waiting);

impl MirrorSynced {
    pub(super) fn new(mut status: watch::Receiver<Status>) -> Self {
        Self(Box::pin(async move {
            let synced = status.wait_for(|status| status.is_synced()).await;
            synced.map(drop).map_err(|_| Error::closed())
        }))
    }
}

impl MirrorChanged {
    pub(super) fn new(mut version: watch::Receiver<u64>, seen: Arc<AtomicU64>) -> Self {
        Self(Box::pin(async move {
            let is_new = |version: &u64| *version != seen.load(Ordering::SeqCst);
            let version = *version
                .wait_for(is_new)
                .await
                .map_err(|_| Error::closed())?;
            seen.store(version, Ordering::SeqCst);
            Ok(())
        }))
    }
}

macro_rules! waits {
    ($($name:ident),+) => {
        $(impl Future for $name {
            type Output = Result<()>;

            fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
                self.0.as_mut().poll(cx)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        })+
    };
}

waits!(MirrorSynced, MirrorChanged);
