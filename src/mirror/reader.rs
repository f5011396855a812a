//! The reader: looks at a mirror from any thread.

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
use super::entry::{Entry, Key};
use super::index::Index;
use super::state::secs;
use super::status::{MirrorState, Status};
use crate::filter::Filter;
use crate::flow::{Direction, Flow, FlowKey};
use crate::handle::ConntrackHandle;
use crate::request::Get;
use crate::stream::Backlog;
use crate::stream::events::Gauge;

/// What a mirror shows its readers.
#[derive(Debug)]
pub(super) struct View {
    pub(super) index: Arc<Index>,
    /// When the mirror's clock began.
    pub(super) epoch: Instant,
    pub(super) gauge: Gauge,
    /// The losses that the mirror knows of, as its socket counts them.
    pub(super) told: AtomicU32,
    /// Has the mirror something in its hands that its flows do not show yet?
    pub(super) is_behind: AtomicBool,
}

/// Looks at a [`Mirror`](super::Mirror), from any thread and without waiting; clones look at the
/// same one.
///
/// A look at a flow takes one of sixteen locks for as long as the look-up takes, and holds none
/// while the caller works with what it found.
///
/// Flows are as the last event, list or get said: counters and the time left change without an event,
/// and so do TCP's flags. The time left is counted down by the mirror's clock, so that
/// it is the least that is left; at 0 the flow may have ended, or been refreshed by packets: see
/// [`expired`](Self::expired). [`use_count`](field@Flow::use_count) is always `None`.
///
/// When the mirror is dropped the flows stay, and are no longer kept up to date:
/// [`state`](Self::state) is [`Stale`](MirrorState::Stale).
pub struct MirrorReader {
    view: Arc<View>,
    handle: ConntrackHandle,
    status: watch::Receiver<Status>,
    version: watch::Receiver<u64>,
    /// The version that this reader has waited for.
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

    /// The flow that the key names, by the tuple of either direction; `None` where the mirror has
    /// none.
    ///
    /// A [`Tuple`](crate::Tuple) is that of the original direction; [`FlowKey::reply`] is for
    /// the other, as the kernel sees it: with translated addresses, where there is NAT. Ports of a
    /// protocol that the kernel does not know (UDP-Lite from Linux 7.0, DCCP from 6.17) are passed
    /// over, as [`ConntrackHandle::get`] does. `conntrack -G`, without the kernel.
    pub fn get(&self, key: impl Into<FlowKey>) -> Option<Flow> {
        let key = key.into();
        let named = Key::named(&key);
        let flow = self.look_up(&key, &named).or_else(|| {
            let tuple = named.tuple.without_detail()?;
            self.look_up(&key, &Key { tuple, ..named })
        });
        flow.filter(|flow| key.names(flow))
    }

    fn look_up(&self, key: &FlowKey, named: &Key) -> Option<Flow> {
        let now = self.now();
        let look = |entry: &Entry| entry.show(now);
        match key.direction() {
            Direction::Orig => self.view.index.by_orig(named, look),
            Direction::Reply => self.view.index.by_reply(named, look),
        }
    }

    /// Asks the kernel for a flow, past the mirror: its counters and its time, or whether it is
    /// there at all, as of now. [`ConntrackHandle::get`].
    pub fn get_fresh(&self, key: impl Into<FlowKey>) -> Get {
        self.handle.get(key)
    }

    /// The flows that match, as an iterator that holds no lock while the caller looks at one.
    ///
    /// It copies some 256 flows at a time. A flow that is in the mirror from the first call to the
    /// last comes exactly once; one that comes or goes meanwhile may be there or not.
    pub fn find(&self, filter: &Filter) -> MirrorFlows {
        let filter = filter.clone();
        MirrorFlows::new(self.view.clone(), move |entry, now| {
            if filter.is_empty() {
                return Some(entry.show(now));
            }
            // Few conditions are on what costs to show.
            let flow = entry.show(now);
            filter.matches(&flow).then_some(flow)
        })
    }

    /// The flows whose time has passed, as far as the mirror knows it.
    ///
    /// They have ended and the kernel has yet to collect them, or packets that make no
    /// event have refreshed them. The mirror asks the kernel for each within 16 seconds; then it has
    /// a new time, or is [`Gone`](super::RemovalCause::Gone).
    pub fn expired(&self) -> MirrorFlows {
        MirrorFlows::new(self.view.clone(), |entry, now| {
            (entry.deadline <= now).then(|| entry.show(now))
        })
    }

    /// All flows. It is [`find`](Self::find) of everything: a copy of the whole mirror, 232
    /// bytes a flow and more, where shards are of different moments if there are changes meanwhile.
    pub fn snapshot(&self) -> Vec<Flow> {
        let mut flows = Vec::with_capacity(self.len());
        flows.extend(self.find(&Filter::default()));
        flows
    }

    /// How many flows the mirror has.
    pub fn len(&self) -> usize {
        self.view.index.len()
    }

    /// Has it none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many flows it has by family, protocol and state. It counts nothing: the numbers are
    /// kept.
    pub fn counts(&self) -> Counts {
        self.view.index.tally.counts()
    }

    /// Whether the mirror is known to be whole.
    pub fn state(&self) -> MirrorState {
        let status = *self.status.borrow();
        let status = match self.is_dropped() {
            false => status,
            true => status.with_lost(0, self.view.epoch.elapsed()),
        };
        status.at(self.view.epoch.into_std())
    }

    /// Does the mirror show, at this moment, all that the kernel has said?
    ///
    /// That is more than [`MirrorState::Synced`]: it looks at the socket itself
    /// (`SO_MEMINFO`, a system call of less than a microsecond). It is `false` where an event was lost of which
    /// the mirror has yet to learn, where one waits that the mirror has yet to apply, and while a flow is
    /// asked for: beside heavy traffic that is often, and where nobody polls the mirror, always from the
    /// next event on. Where it is `true`, what is looked up after it is no older than the call.
    pub fn is_synced(&self) -> bool {
        // In the opposite order of the mirror, which sets each of these behind the one that it
        // depends on.
        let Some(queue) = self.view.gauge.queue() else {
            return false;
        };
        queue.used == 0
            && queue.drops == self.view.told.load(Ordering::SeqCst)
            && !self.view.is_behind.load(Ordering::SeqCst)
            && self.status.borrow().is_synced()
    }

    /// How full the queue of the mirror's events is; `None` where the mirror is dropped.
    pub fn backlog(&self) -> Option<Backlog> {
        let queue = self.view.gauge.queue()?;
        Some(Backlog::new(queue.used, queue.room))
    }

    /// Waits until the mirror is in sync ([`MirrorState::Synced`]).
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed) where the mirror is dropped.
    ///
    /// # Cancellation
    ///
    /// Dropping the future does nothing.
    pub fn synced(&self) -> MirrorSynced {
        MirrorSynced::new(self.status.clone())
    }

    /// Waits until the mirror has changed since the last time that this was waited for, by this
    /// reader; the first time, since this reader was made. Several changes are one.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed) where the mirror is dropped.
    ///
    /// # Cancellation
    ///
    /// Dropping the future does nothing: what has changed meanwhile is told by the next one.
    pub fn changed(&self) -> MirrorChanged {
        MirrorChanged::new(self.version.clone(), self.seen.clone())
    }

    fn is_dropped(&self) -> bool {
        self.status.has_changed().is_err()
    }

    fn now(&self) -> u32 {
        self.view.now()
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
