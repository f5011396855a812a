//! The mirror without its sockets: events, lists and answers go in, and deltas come out.
//!
//! The rules:
//!
//! - Events are applied at once, also during a list. If a flow had an event since the list began,
//!   the event wins. A flow that ends during a list leaves a tombstone, so that the list cannot add
//!   it again. A new flow with the same key removes the tombstone.
//! - A flow is identified by its original tuple and zone. Its id tells it from earlier flows with
//!   the same key.
//! - A list marks each of its flows with the number of the sync. When it has ended, all flows
//!   without that number are removed (swept).
//! - A flow that is in doubt is looked up. The answer counts only if the flow had no event since
//!   the lookup began.

mod asks;
mod events;
mod origin;
mod sync;
mod tombs;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::delta::{Delta, RemovalCause};
use super::entry::{Interner, Key, Notes, Version};
use super::hash::Keyed;
use super::index::{Index, Spot};
use super::learnt::Learnt;
use super::schedule::Schedule;
use super::settings::Settings;
use super::stats::MirrorStats;
use super::status::Status;
use crate::filter::Filter;
use crate::flow::{Flow, FlowId};
use asks::Asks;
pub(super) use asks::Round;
use origin::Origin;
use sync::Sync;

#[derive(Debug)]
pub(super) struct State {
    index: Arc<Index>,
    names: Interner,
    /// `None` for all.
    filter: Option<Filter>,
    /// The part of the filter that an `Update` event can decide.
    decidable: Option<Filter>,
    limit: usize,
    recheck: Option<u32>,
    learnt: Learnt,
    pub(super) schedule: Schedule,
    sync: Sync,
    asks: Asks,
    /// Counts lists and rounds of lookups, to tell whether an event came before or after one of
    /// them began.
    round: u32,
    /// Tombstones: flows that are not stored, because their last event was their end, or did not
    /// match, or there was no room. With the round of that event.
    tombs: HashMap<Key, u32, Keyed>,
    status: Status,
    /// Did a flow have no room?
    is_full: bool,
    pub(super) stats: MirrorStats,
    /// `None` if no deltas are needed.
    deltas: Option<VecDeque<Delta>>,
}

impl State {
    pub(super) fn new(index: Arc<Index>, settings: Settings) -> Self {
        let filter = Some(settings.filter).filter(|filter| !filter.is_empty());
        let mut schedule = Schedule::default();
        schedule.want();
        Self {
            index,
            names: Interner::default(),
            decidable: filter.as_ref().map(Filter::decidable_by_update),
            filter,
            limit: settings.limit,
            recheck: settings.recheck.map(|it| secs(it).max(1)),
            learnt: Learnt::default(),
            schedule,
            sync: Sync::default(),
            asks: Asks::default(),
            round: 0,
            tombs: HashMap::default(),
            status: Status::Syncing,
            is_full: false,
            stats: MirrorStats::default(),
            deltas: Some(VecDeque::new()),
        }
    }

    pub(super) fn status(&self) -> Status {
        self.status
    }

    pub(super) fn next_delta(&mut self) -> Option<Delta> {
        self.deltas.as_mut()?.pop_front()
    }

    pub(super) fn has_delta(&self) -> bool {
        self.deltas
            .as_ref()
            .is_some_and(|deltas| !deltas.is_empty())
    }

    pub(super) fn filter(&self) -> Filter {
        self.filter.clone().unwrap_or_default()
    }

    /// Stops making deltas.
    pub(super) fn mute(&mut self) {
        self.deltas = None;
    }

    fn replaced(&mut self, spot: &mut Spot<'_>, now: Duration) {
        self.removed(spot, secs(now), RemovalCause::Replaced);
    }

    /// Removes the flow at a place. Returns whether there was one.
    fn removed(&mut self, spot: &mut Spot<'_>, now: u32, cause: RemovalCause) -> bool {
        let (deltas, sync) = (&mut self.deltas, &mut self.sync);
        let taken = spot.take(|known| {
            sync.changes(Some(&known.notes), None);
            tell(deltas, || Delta::Removed {
                flow: known.show(now),
                cause,
            });
        });
        taken.is_some()
    }

    /// Stores the new version of a flow. After that, `flow` must not be used.
    fn becomes(&mut self, mut spot: Spot<'_>, flow: &mut Flow, origin: Origin, now: Duration) {
        let touched = match origin {
            Origin::Event { .. } | Origin::Lookup => self.round,
            Origin::List => self.sync.round(),
            Origin::Both { touched, .. } => touched,
        };
        let is_lacking = origin.is_lacking();
        // Then this version wins over lists and lookups that began earlier.
        let is_newest = touched == self.round;
        let filter = self.filter.as_ref();
        if filter.is_some_and(|filter| !filter.matches(flow)) {
            if is_newest {
                self.bury(flow);
            }
            let sync = &mut self.sync;
            let taken = spot.take(|known| sync.changes(Some(&known.notes), None));
            if taken.is_some() {
                self.tell(|| Delta::Removed {
                    flow: flow.clone(),
                    cause: RemovalCause::Unmatched,
                });
            }
            return;
        }
        if spot.is_free() && self.index.len() >= self.limit {
            if is_newest {
                self.bury(flow);
            }
            return self.left_out(now);
        }
        if is_newest && !self.tombs.is_empty() {
            self.tombs.remove(&Key::orig(flow).owned());
        }
        let now = secs(now);
        // During the first list, or a list after a loss, wait for the list instead.
        if is_lacking && (self.status.is_synced() || !self.sync.is_listing()) {
            self.asks.push(flow);
        }
        let mut notes = Notes::of(flow, &mut self.names, now);
        notes.touched = touched;
        notes.heard.set_lacking(is_lacking);
        notes.heard.set_by_events(origin.is_by_events());
        let (deltas, sync) = (&mut self.deltas, &mut self.sync);
        spot.put(flow, notes, |before, after| {
            sync.changes(before.map(Version::notes), Some(after.notes()));
            let Some(deltas) = deltas else {
                return;
            };
            let Some(before) = before else {
                return deltas.push_back(Delta::Added(after.show(now)));
            };
            if !before.says_same_as(after) {
                deltas.push_back(Delta::Updated {
                    before: before.show(now),
                    after: after.show(now),
                });
            }
        });
    }

    fn lost(&mut self, lost: u64, now: Duration) {
        self.stats.lost += lost;
        self.status = self.status.with_lost(lost, now);
        self.schedule.lost(now);
        self.sync.lost(lost);
    }

    /// Learns from a flow of a list or lookup.
    fn learn(&mut self, flow: &Flow, now: Duration) {
        if self.learnt.learn(flow) {
            self.ask_others(now);
        }
    }

    /// Learns more about the flows that are known by events alone. In a small mirror they are
    /// looked up; otherwise the table is listed again.
    fn ask_others(&mut self, now: Duration) {
        // The sweep after a list looks at all flows.
        if self.sync.is_listing() {
            return;
        }
        match self.index.len() {
            0..=asks::AT_ONCE => self.ask_all_in_doubt(),
            _ => {
                self.status = self.status.with_lost(0, now);
                self.schedule.lost(now);
                self.sync.more();
            }
        }
    }

    fn left_out(&mut self, now: Duration) {
        self.stats.left_out += 1;
        self.is_full = true;
        self.status = self.status.with_lost(0, now);
    }

    fn tell(&mut self, delta: impl FnOnce() -> Delta) {
        tell(&mut self.deltas, delta);
    }
}

fn tell(deltas: &mut Option<VecDeque<Delta>>, delta: impl FnOnce() -> Delta) {
    if let Some(deltas) = deltas {
        deltas.push_back(delta());
    }
}

/// Are both ids known, and different?
fn differ(one: Option<FlowId>, other: Option<FlowId>) -> bool {
    one.is_some() && other.is_some() && one != other
}

/// A time of the mirror's clock in whole seconds.
pub(super) fn secs(now: Duration) -> u32 {
    u32::try_from(now.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
