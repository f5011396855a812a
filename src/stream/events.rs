//! The stream of events.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_core::{FusedStream, Stream};
use tokio::task::coop::consume_budget;

use crate::error::{Error, Result};
use crate::event::Event;
use crate::filter::{Filter, KernelFilter};
pub(crate) use crate::transport::listen::Gauge;
use crate::transport::listen::{Heard, Listener};
use crate::transport::throttle::{Throttle, Told};
use crate::wire::attr::DecodeError;
use crate::wire::message::Frame;

/// The number of events for one unit of tokio's cooperative budget. A task gets 128 units at a time,
/// so it reads about 512 events, in half a millisecond, before others run.
const PER_UNIT: u32 = 4;

/// The events of a table in the order in which the kernel sent them, with every gap in its place.
///
/// Polling the stream reads the socket directly, without a task in between. A stream that is not
/// polled costs only the socket's queue. Events that the queue has no room for are lost:
/// [`Event::Overrun`] says how many, and the stream goes on. The events received and the events
/// lost add up to the events sent ([`stats`](Self::stats)).
///
/// A message that does not decode is one `Err` item of kind [`Decode`](crate::ErrorKind::Decode),
/// with its bytes; the stream goes on. Only a failed socket or the shutdown of the runtime ends it,
/// and that error is the last item.
///
/// It takes part in tokio's cooperative budget, so other tasks get their turn however many events
/// are waiting.
///
/// It has its own socket. It outlives the [`Connection`](crate::Connection), and must be polled in
/// the runtime in which it was opened.
///
/// # Cancellation
///
/// `next()` is cancel-safe: an event is never lost between two calls. Dropping the stream closes its
/// socket.
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct EventStream {
    listener: Listener,
    /// `None` for all events, so that a stream without a filter does not pay for one.
    filter: Option<Filter>,
    by_kernel: KernelFilter,
    stats: EventStats,
    /// Counts what the listener returned, whether the reader gets it or not. It wraps.
    heard: u32,
    warnings: Throttle,
    done: bool,
}

/// What an [`EventStream`] has received so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct EventStats {
    /// Events that were received. Events that did not decode, and those that the filter dropped
    /// here, are included; events that the kernel dropped by its part of the filter are not.
    pub received: u64,
    /// Events that were lost, as the kernel counts them: the sum of all
    /// [`Overrun`](Event::Overrun)s.
    pub lost: u64,
    /// The number of gaps.
    pub overruns: u64,
    /// The number of messages that did not decode.
    pub decode_errors: u64,
}

/// How full the queue of an [`EventStream`]'s socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Backlog {
    /// The bytes that are waiting, as the kernel counts them: about 1280 for each event.
    pub used: usize,
    /// The size of the queue in bytes.
    pub room: usize,
}

impl Backlog {
    /// Creates a `Backlog`, for tests of programs that watch a queue.
    pub const fn new(used: usize, room: usize) -> Self {
        Self { used, room }
    }
}

impl EventStream {
    pub(crate) fn new(listener: Listener, filter: Filter, by_kernel: KernelFilter) -> Self {
        Self {
            listener,
            filter: Some(filter).filter(|filter| !filter.is_empty()),
            by_kernel,
            stats: EventStats::default(),
            heard: 0,
            warnings: Throttle::default(),
            done: false,
        }
    }

    /// What the stream has received so far.
    pub fn stats(&self) -> EventStats {
        self.stats
    }

    /// How full the socket's queue is. `SO_MEMINFO`.
    ///
    /// # Errors
    ///
    /// [`Io`](crate::ErrorKind::Io) if the socket failed.
    pub fn backlog(&self) -> Result<Backlog> {
        let queue = self.listener.queue();
        let queue = queue.map_err(|cause| Error::io("reading the state of a socket", cause))?;
        Ok(Backlog::new(queue.used, queue.room))
    }

    /// The size of the socket's queue in bytes, as granted: twice the requested number, unless the
    /// system's limit is lower.
    ///
    /// # Errors
    ///
    /// [`Io`](crate::ErrorKind::Io) if the socket failed.
    pub fn receive_buffer(&self) -> Result<usize> {
        self.backlog().map(|backlog| backlog.room)
    }

    /// The conditions that the kernel compares before it queues an event.
    ///
    /// They depend on the filter, and on the kernel's limits for a socket filter: see
    /// [`Events::filter`](crate::Events::filter).
    pub fn kernel_filtered(&self) -> KernelFilter {
        self.by_kernel
    }

    /// A view of the socket's queue, for other tasks.
    pub(crate) fn gauge(&self) -> Gauge {
        self.listener.gauge()
    }

    /// The number of drops that the stream has reported, as the socket counts them.
    pub(crate) fn reported(&self) -> u32 {
        self.listener.reported()
    }

    /// Returns `true` if it has returned everything that was sent so far.
    pub(crate) fn is_drained(&self) -> bool {
        self.listener.is_drained()
    }

    /// Makes the next poll read the socket, without waiting for readiness.
    pub(crate) fn look(&mut self) {
        self.listener.look();
    }

    /// Polls for the next event, and writes it to `event`: it is too large to be moved through
    /// results. If there is none, `event` has no meaning.
    #[inline]
    pub(crate) fn poll_next_into(
        &mut self,
        cx: &mut Context<'_>,
        event: &mut Event,
    ) -> Poll<Option<Result<()>>> {
        while !self.done {
            if self.heard % PER_UNIT == 0 {
                ready!(pin!(consume_budget()).poll(cx));
            }
            let heard = ready!(self.listener.poll_next(cx));
            self.heard = self.heard.wrapping_add(1);
            let (datagram, nsid) = match heard {
                Ok(Heard::Datagram(datagram, nsid)) => (datagram, nsid),
                Ok(Heard::Lost(lost)) => {
                    *event = self.lost(lost);
                    return Poll::Ready(Some(Ok(())));
                }
                Err(cause) => {
                    self.done = true;
                    return self.failed(Error::io("receiving", cause));
                }
            };
            // The kernel sends each event in its own datagram.
            let read = match Frame::first(datagram) {
                Some(Ok(frame)) if frame.is_control() => continue,
                Some(Ok(frame)) => event.read(&frame, nsid),
                Some(Err(cause)) => Err(cause),
                // An empty datagram: its event is lost.
                None => Err(DecodeError::Truncated),
            };
            self.stats.received += 1;
            match read {
                Ok(()) => {
                    let filter = self.filter.as_ref();
                    if filter.is_none_or(|filter| wanted(filter, event)) {
                        return Poll::Ready(Some(Ok(())));
                    }
                }
                Err(cause) => {
                    let error = Error::decode(cause, datagram);
                    self.stats.decode_errors += 1;
                    return self.failed(error);
                }
            }
        }
        Poll::Ready(None)
    }

    fn lost(&mut self, lost: u32) -> Event {
        let lost = u64::from(lost);
        self.stats.lost += lost;
        self.stats.overruns += 1;
        if let Some(told) = self.warnings.add(lost, Instant::now()) {
            self.warn(told);
        }
        Event::Overrun { lost }
    }

    fn warn(&self, Told { count, times }: Told) {
        let total = self.stats.lost;
        tracing::warn!(target: "ctnetlink", lost = count, gaps = times, total, "events were lost");
    }

    #[cold]
    fn failed(&self, error: Error) -> Poll<Option<Result<()>>> {
        Poll::Ready(Some(Err(error.context("listening to events"))))
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        if let Some(told) = self.warnings.rest() {
            self.warn(told);
        }
    }
}

impl Stream for EventStream {
    type Item = Result<Event>;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Event>>> {
        let mut event = Event::blank();
        match ready!(self.get_mut().poll_next_into(cx, &mut event)) {
            Some(Ok(())) => Poll::Ready(Some(Ok(event))),
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => Poll::Ready(None),
        }
    }
}

impl FusedStream for EventStream {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

fn wanted(filter: &Filter, event: &Event) -> bool {
    event.flow().is_none_or(|flow| filter.matches(flow))
}
