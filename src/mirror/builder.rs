//! A mirror to be.

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
/// `join_all` and `FuturesUnordered`.
///
/// See [`ConntrackHandle::mirror`].
#[derive(Debug, Clone)]
#[must_use = "nothing is heard before it is awaited"]
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

    /// Mirrors the flows that match alone; of two filters the later one counts.
    ///
    /// All conditions are allowed. A flow comes in when it begins to match, and leaves
    /// ([`Unmatched`](super::RemovalCause::Unmatched)) when it no longer does. The kernel compares
    /// what it can: of the events, family, protocol, addresses, ports and zone, which never change.
    /// Where an update does not say whether the flow matches (labels, master, state), the flow
    /// is asked for.
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

    /// Holds this many flows at the most; without it, as many as the table has
    /// (`nf_conntrack_max`).
    ///
    /// At the limit, flows that are not known yet are left out, those that are known are kept up to
    /// date, and the mirror is not in sync. When an eighth is free again, it lists the table and
    /// takes in what there is room for.
    pub fn limit(mut self, flows: usize) -> Self {
        self.settings.limit = flows;
        self
    }

    /// Asks for each flow again, of which nothing was heard for so long; at least a second.
    ///
    /// Without it a flow is asked for when its time has passed. That heals what events do not tell, in
    /// the end: a TCP connection that began before anybody listened may make no events
    /// (`nf_conntrack_events`), and has days of time. A get takes the kernel some two
    /// microseconds, a flow.
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
