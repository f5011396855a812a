//! The reader of a mirror, for any thread.

mod find;
mod wait;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use tokio::sync::watch;
use tokio::time::Instant;

pub use find::MirrorFlows;
pub use wait::{MirrorChanged, MirrorSynced};

use super::counts::Counts;
use super::index::Index;
use super::state::secs;
use super::status::{MirrorState, Status};
use crate::filter::Filter;
use crate::flow::{Flow, FlowKey};
use crate::handle::ConntrackHandle;
use crate::request::Get;
use crate::stream::Backlog;
use crate::stream::events::Gauge;

/// The state that a mirror shares with its readers.
#[derive(Debug)]
pub(super) struct View {
    pub(super) index: Arc<Index>,
    /// When the mirror's clock began.
    pub(super) epoch: Instant,
    /// The time of the mirror's last work, in whole seconds of its clock. To read the clock itself
    /// takes longer than the rest of a lookup.
    pub(super) worked: AtomicU32,
    pub(super) gauge: Gauge,
    /// The number of drops that the mirror knows of, as its socket counts them.
    pub(super) reported: AtomicU32,
    /// Has the mirror received something that it has not applied yet?
    pub(super) is_behind: AtomicBool,
}

/// Reads a [`Mirror`](super::Mirror), from any thread and without waiting. Clones read the same
/// mirror.
///
/// A lookup holds one of sixteen locks while it copies the flow. No lock is held while the caller
/// uses the result.
///
/// Flows are as the last event, list or lookup reported them. Counters, the remaining time and TCP
/// flags change without an event. [`find`](Self::find) counts the remaining time down to now, and
/// [`get`](Self::get) to the mirror's last work, at most about a second ago while the mirror is
/// polled. At 0, the flow may have ended, or packets may have refreshed it: see
/// [`expired`](Self::expired). [`use_count`](field@Flow::use_count) is always `None`.
///
/// When the mirror is dropped, the flows stay and are no longer updated. Then
/// [`state`](Self::state) is [`Stale`](MirrorState::Stale).
pub struct MirrorReader {
    view: Arc<View>,
    handle: ConntrackHandle,
    status: watch::Receiver<Status>,
    version: watch::Receiver<u64>,
    /// The last version that this reader has seen.
    seen: Arc<AtomicU64>,
}

impl MirrorReader {
    pub(super) fn new(
        view: Arc<View>,
        handle: ConntrackHandle,
        status: watch::Receiver<Status>,
        version: watch::Receiver<u64>,
    ) -> Self {
        let seen = Arc::new(AtomicU64::new(*version.borrow()));
        Self {
            view,
            handle,
            status,
            version,
            seen,
        }
    }

    /// Returns the flow that the key names, by the tuple of either direction; `None` if the mirror
    /// has none.
    ///
    /// A [`Tuple`](crate::Tuple) means the original direction. [`FlowKey::reply`] means the reply
    /// direction as the kernel sees it, with the translated addresses if there is NAT. Ports of a
    /// protocol that the kernel does not know (UDP-Lite from Linux 7.3 on, DCCP from 6.17 on) are
    /// ignored, as in [`ConntrackHandle::get`]. It is `conntrack -G` without a request to the
    /// kernel.
    pub fn get(&self, key: impl Into<FlowKey>) -> Option<Flow> {
        let now = self.view.worked.load(Ordering::Relaxed);
        self.view.index.get(&key.into(), now)
    }

    /// Asks the kernel for a flow, for its current counters and timeout. This is
    /// [`ConntrackHandle::get`].
    pub fn get_fresh(&self, key: impl Into<FlowKey>) -> Get {
        self.handle.get(key)
    }

    /// Returns an iterator over the flows that match. It holds no lock while the caller uses a
    /// flow.
    ///
    /// It copies up to 256 flows at a time. A flow that stays in the mirror during the whole
    /// iteration is returned exactly once. A flow that is added or removed meanwhile may be
    /// returned or not.
    pub fn find(&self, filter: &Filter) -> MirrorFlows {
        let filter = filter.clone();
        MirrorFlows::new(self.view.clone(), move |entry, now| {
            if filter.is_empty() {
                return Some(entry.show(now));
            }
            // Check the cheap conditions first, without a copy of the flow.
            let flow = entry.show(now);
            filter.matches(&flow).then_some(flow)
        })
    }

    /// Returns the flows whose timeout has passed, as far as the mirror knows.
    ///
    /// Either they have ended and the kernel has not removed them yet, or packets have refreshed
    /// them without an event. The mirror asks the kernel for each of them within 16 seconds. Then
    /// the flow has a new timeout, or is [`Gone`](super::RemovalCause::Gone).
    pub fn expired(&self) -> MirrorFlows {
        MirrorFlows::new(self.view.clone(), |entry, now| {
            entry.is_over(now).then(|| entry.show(now))
        })
    }

    /// Returns a copy of all flows, 232 bytes each or more. Like [`find`](Self::find), it is not
    /// one consistent snapshot if flows change meanwhile.
    pub fn snapshot(&self) -> Vec<Flow> {
        let mut flows = Vec::with_capacity(self.len());
        flows.extend(self.find(&Filter::default()));
        flows
    }

    /// The number of flows in the mirror.
    pub fn len(&self) -> usize {
        self.view.index.len()
    }

    /// Returns `true` if the mirror has no flows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of flows by family, protocol and state. The counters are always up to date, so
    /// this does not walk the flows.
    pub fn counts(&self) -> Counts {
        self.view.index.tally.counts()
    }

    /// Whether the mirror is known to be complete.
    pub fn state(&self) -> MirrorState {
        let status = *self.status.borrow();
        let status = match self.is_dropped() {
            false => status,
            true => status.with_lost(0, self.view.epoch.elapsed()),
        };
        status.at(self.view.epoch.into_std())
    }

    /// Returns `true` if the mirror contains everything that the kernel has reported up to this
    /// moment.
    ///
    /// This is more than [`MirrorState::Synced`]: it looks at the socket itself (`SO_MEMINFO`, a
    /// system call of less than a microsecond). It is `false` if an event was lost and the mirror
    /// does not know it yet, if an event waits to be applied, and while the mirror asks for a flow.
    /// Under heavy traffic that is often the case. If the mirror is not polled, it is `false` from
    /// the next event on. If it is `true`, later lookups are at least as new as this call.
    pub fn is_synced(&self) -> bool {
        // Read these in the opposite order of the mirror, which writes each of them after the one
        // that it depends on.
        let Some(queue) = self.view.gauge.queue() else {
            return false;
        };
        queue.used == 0
            && queue.drops == self.view.reported.load(Ordering::SeqCst)
            && !self.view.is_behind.load(Ordering::SeqCst)
            && self.status.borrow().is_synced()
    }

    /// How full the queue of the mirror's events is; `None` if the mirror was dropped.
    pub fn backlog(&self) -> Option<Backlog> {
        let queue = self.view.gauge.queue()?;
        Some(Backlog::new(queue.used, queue.room))
    }

    /// Waits until the mirror is in sync ([`MirrorState::Synced`]).
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed) if the mirror is dropped.
    ///
    /// # Cancellation
    ///
    /// Dropping the future does nothing.
    pub fn synced(&self) -> MirrorSynced {
        MirrorSynced::new(self.status.clone())
    }

    /// Waits until the mirror has changed since this reader's last wait, or since the reader was
    /// created. Several changes count as one. It may also return without a change, about once a
    /// second.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed) if the mirror is dropped.
    ///
    /// # Cancellation
    ///
    /// Dropping the future has no effect: the next one still reports the change.
    pub fn changed(&self) -> MirrorChanged {
        MirrorChanged::new(self.version.clone(), self.seen.clone())
    }

    fn is_dropped(&self) -> bool {
        self.status.has_changed().is_err()
    }
}

impl View {
    pub(super) fn now(&self) -> u32 {
        secs(self.epoch.elapsed())
    }
}

impl Clone for MirrorReader {
    fn clone(&self) -> Self {
        Self {
            view: self.view.clone(),
            handle: self.handle.clone(),
            status: self.status.clone(),
            version: self.version.clone(),
            seen: Arc::new(AtomicU64::new(self.seen.load(Ordering::SeqCst))),
        }
    }
}

impl fmt::Debug for MirrorReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MirrorReader")
            .field("len", &self.len())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
