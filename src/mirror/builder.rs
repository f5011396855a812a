//! The builder of a mirror.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::Mirror;
use super::settings::Settings;
use crate::error::Result;
use crate::filter::Filter;
use crate::handle::ConntrackHandle;
use crate::request::RequestFuture;
use crate::stream::EventStream;

/// Awaiting it gives a [`Mirror`]. `.into_future()` gives the future itself, for `tokio::spawn`,
/// `block_on`, `join_all` and `FuturesUnordered`.
///
/// See [`ConntrackHandle::mirror`].
#[derive(Debug, Clone)]
#[must_use = "nothing is received before it is awaited"]
pub struct MirrorBuilder {
    handle: ConntrackHandle,
    settings: Settings,
    receive_buffer: Option<usize>,
}

impl MirrorBuilder {
    pub(super) fn new(handle: ConntrackHandle) -> Self {
        Self {
            handle,
            settings: Settings {
                filter: Filter::default(),
                limit: usize::MAX,
                recheck: None,
            },
            receive_buffer: None,
        }
    }

    /// Mirrors only flows that match. A second call replaces the filter.
    ///
    /// All conditions are allowed. A flow is added when it begins to match, and removed
    /// ([`Unmatched`](super::RemovalCause::Unmatched)) when it no longer does. The kernel compares
    /// what it can. For events, that is family, protocol, addresses, ports and zone, which never
    /// change. If an update does not contain what the filter needs (labels, master, state), the
    /// mirror asks the kernel for the flow.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.settings.filter = filter;
        self
    }

    /// Asks for this many bytes of queue for the events:
    /// [`Events::receive_buffer`](crate::Events::receive_buffer).
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// Limits the number of flows. Without it, the mirror holds as many as the table
    /// (`nf_conntrack_max`).
    ///
    /// At the limit, new flows are left out, known flows are still kept up to date, and the mirror
    /// is not in sync. When an eighth is free again, the mirror lists the table and adds the flows
    /// that it has room for.
    pub fn limit(mut self, flows: usize) -> Self {
        self.settings.limit = flows;
        self
    }

    /// Asks the kernel again for each flow that had no event for this long; at least a second.
    ///
    /// Without it, the mirror asks for a flow when its timeout has passed. In the end, that also
    /// finds changes that made no event. But a TCP connection that began before any program
    /// listened may make no events (`nf_conntrack_events`), and has a timeout of days. A lookup
    /// takes the kernel about two microseconds per flow.
    pub fn recheck(mut self, after: Duration) -> Self {
        self.settings.recheck = Some(after);
        self
    }
}

impl IntoFuture for MirrorBuilder {
    type Output = Result<Mirror>;
    type IntoFuture = OpenMirror;

    fn into_future(self) -> OpenMirror {
        let mut events = self.handle.events().filter(self.settings.filter.lasting());
        if let Some(bytes) = self.receive_buffer {
            events = events.receive_buffer(bytes);
        }
        OpenMirror {
            events: events.into_future(),
            rest: Some((self.handle, self.settings)),
        }
    }
}

/// Opens a mirror: from [`MirrorBuilder`].
///
/// # Cancellation
///
/// Dropping it closes the socket.
#[must_use = "futures do nothing unless polled"]
pub struct OpenMirror {
    events: RequestFuture<EventStream>,
    rest: Option<(ConntrackHandle, Settings)>,
}

impl Future for OpenMirror {
    type Output = Result<Mirror>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Mirror>> {
        let events = ready!(Pin::new(&mut self.events).poll(cx))?;
        match self.rest.take() {
            Some((handle, settings)) => Poll::Ready(Ok(Mirror::new(handle, events, settings))),
            None => Poll::Pending,
        }
    }
}

impl fmt::Debug for OpenMirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenMirror").finish_non_exhaustive()
    }
}
