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
mod sync;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::delta::{Delta, RemovalCause};
use super::entry::{Entry, Interner, Key};
use super::hash::Keyed;
use super::index::{Index, Spot};
use super::learnt::Learnt;
use super::merge;
use super::schedule::Schedule;
use super::settings::Settings;
use super::stats::MirrorStats;
use super::status::Status;
use crate::event::Event;
use crate::filter::Filter;
use crate::flow::{Flow, FlowId};
use asks::Asks;
pub(super) use asks::Round;
use sync::Sync;

/// The maximum number of tombstones. If there are more during a list, the list is repeated.
const TOMBS: usize = 1 << 20;

/// For fewer events, nothing is gained by a look at their flows in advance.
const FEW: usize = 4;

#[derive(Debug)]
pub(super) struct State {
    index: Arc<Index>,
    names: Interner,
    /// `None` for all.
    filter: Option<Filter>,
    /// The part of the filter that an `Update` event can decide.
    told: Option<Filter>,
    limit: usize,
    recheck: Option<u32>,
    learnt: Learnt,
    pub(super) schedule: Schedule,
    sync: Sync,
    asks: Asks,
    /// Counts lists and rounds of lookups, to tell whether an event came before or after one of
    /// them began.
    round: u32,
    /// Tombstones: flows that are not stored, because by an event they ended, did not match or had
    /// no room, with the round of that event.
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
            told: filter.as_ref().map(Filter::told_by_update),
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

    /// Applies events, in order. `now` is the time of the mirror's clock.
    pub(super) fn events(&mut self, events: &mut Vec<Event>, now: Duration) {
        if events.len() >= FEW {
            self.index.warm(events.iter().filter_map(Event::flow));
        }
        for event in events.drain(..) {
            self.event(event, now);
        }
    }

    fn event(&mut self, event: Event, now: Duration) {
        match event {
            Event::New { flow, .. } => {
                self.stats.new += 1;
                self.began(flow, now);
            }
            Event::Update { flow, .. } => {
                self.stats.updates += 1;
                self.changed(flow, now);
            }
            Event::Destroy { flow, port_id, .. } => {
                self.stats.destroys += 1;
                if self.learnt.learn_of_end(&flow) {
                    self.ask_others(now);
                }
                self.ended(flow, port_id);
            }
            Event::Overrun { lost } => {
                self.stats.overruns += 1;
                self.lost(lost, now);
            }
            Event::ExpectNew { .. } | Event::ExpectDestroy { .. } => return,
        }
        self.stats.events += 1;
    }

    /// Notes an event that does not decode.
    pub(super) fn undecoded(&mut self, now: Duration) {
        self.stats.decode_errors += 1;
        self.lost(1, now);
    }

    fn began(&mut self, mut flow: Flow, now: Duration) {
        self.learnt.learn_of_event(&flow);
        let (spot, doubt) = self.known(&mut flow, now);
        let is_lacking = match spot.known {
            // Unless it is known from the list in progress, it may be another flow with the same
            // id, and the end of the earlier one was lost.
            Some(known) => doubt || known.touched < self.sync.round(),
            None => self.is_unsure() || self.learnt.lacks(&flow),
        };
        self.becomes(spot, flow, self.round, is_lacking, true, now);
    }

    /// Is a new flow looked up to learn what the kernel reports? The first one is: those of the list
    /// may be older than a setting. Before anything is known, all are that a list may not contain.
    fn is_unsure(&self) -> bool {
        match self.sync.is_listing() {
            true => !self.learnt.is_known,
            false => !self.learnt.is_recent && !self.has_questions(),
        }
    }

    fn changed(&mut self, mut flow: Flow, now: Duration) {
        self.learnt.learn_of_event(&flow);
        let (spot, doubt) = self.known(&mut flow, now);
        if spot.known.is_some() {
            return self.becomes(spot, flow, self.round, doubt, true, now);
        }
        if self.told.as_ref().is_some_and(|told| !told.matches(&flow)) {
            return self.bury(spot.key);
        }
        // Its `New` event was missed, and an `Update` contains only a part of the flow.
        match self.told == self.filter {
            true => {
                if self.status.is_synced() {
                    self.stats.unreported += 1;
                }
                self.becomes(spot, flow, self.round, true, true, now);
            }
            false => self.asks.push(spot.key, &flow),
        }
    }

    fn ended(&mut self, flow: Flow, port_id: Option<u32>) {
        let mut spot = self.index.spot(Key::orig(&flow));
        self.bury(spot.key);
        let known = spot.known.as_ref();
        if known.is_some_and(|known| differ(known.id, flow.id)) {
            // The end of an earlier flow with the same key, or of a later one that was missed.
            self.index.doubt(&spot);
            return self.asks.push(spot.key, &flow);
        }
        let (deltas, learnt) = (&mut self.deltas, &self.learnt);
        self.index.take(&mut spot, |known| {
            tell(deltas, || Delta::Removed {
                flow: merge::ended(&known.show(0), flow, learnt),
                cause: RemovalCause::Destroyed { port_id },
            });
        });
    }

    /// The place of an event's flow. What the event leaves out is added from the known version; the
    /// `bool` says whether that is in doubt. A stored flow with another id has ended, and is removed.
    fn known(&mut self, flow: &mut Flow, now: Duration) -> (Spot, bool) {
        flow.mark = flow.mark.or(self.learnt.no_mark());
        let mut doubt = false;
        let mut spot = self.index.spot_and(Key::orig(flow), |known| {
            if !differ(known.bare().id, flow.id) {
                doubt = merge::changed(&known.to_merge(), flow) || known.is_lacking;
            }
        });
        let known = spot.known.as_ref();
        if known.is_some_and(|known| differ(known.id, flow.id)) {
            self.stats.unreported += 1;
            self.replaced(&mut spot, now);
        }
        (spot, doubt)
    }

    fn replaced(&mut self, spot: &mut Spot, now: Duration) {
        self.removed(spot, secs(now), RemovalCause::Replaced);
    }

    /// Removes the flow at a place. Returns whether there was one.
    fn removed(&mut self, spot: &mut Spot, now: u32, cause: RemovalCause) -> bool {
        let deltas = &mut self.deltas;
        let taken = self.index.take(spot, |known| {
            tell(deltas, || Delta::Removed {
                flow: known.show(now),
                cause,
            });
        });
        taken.is_some()
    }

    /// Stores the new version of a flow. `touched` is the round of the flow's last event. If it is
    /// the current round, this version wins over lists and lookups that began earlier. `by_events`
    /// says that it is from an event, which may leave parts out.
    fn becomes(
        &mut self,
        mut spot: Spot,
        flow: Flow,
        touched: u32,
        is_lacking: bool,
        by_events: bool,
        now: Duration,
    ) {
        let is_newest = touched == self.round;
        let filter = self.filter.as_ref();
        if filter.is_some_and(|filter| !filter.matches(&flow)) {
            if is_newest {
                self.bury(spot.key);
            }
            if self.index.take(&mut spot, |_| {}).is_some() {
                self.tell(|| Delta::Removed {
                    flow,
                    cause: RemovalCause::Unmatched,
                });
            }
            return;
        }
        if spot.known.is_none() && self.index.len() >= self.limit {
            if is_newest {
                self.bury(spot.key);
            }
            return self.left_out(now);
        }
        if is_newest && !self.tombs.is_empty() {
            self.tombs.remove(&spot.key);
        }
        let now = secs(now);
        // During the first list, or a list after a loss, wait for the list instead.
        if is_lacking && (self.status.is_synced() || !self.sync.is_listing()) {
            self.asks.push(spot.key, &flow);
        }
        let mut entry = Entry::new(flow, &mut self.names, now);
        entry.seen = self.sync.number();
        entry.touched = touched;
        entry.is_lacking = is_lacking;
        entry.by_events = by_events;
        let deltas = &mut self.deltas;
        self.index.put(&spot, entry, |before, entry| {
            let Some(before) = before else {
                return tell(deltas, || Delta::Added(entry.show(now)));
            };
            entry.keep(before);
            if deltas.is_some() && !before.says_same_as(entry) {
                tell(deltas, || Delta::Updated {
                    before: before.show(now),
                    after: entry.show(now),
                });
            }
        });
    }

    /// Adds a tombstone, if an older list or lookup could still add the flow again.
    fn bury(&mut self, key: Key) {
        if !self.sync.is_listing() && !self.asks.are_under_way() {
            return;
        }
        if self.tombs.len() >= TOMBS {
            self.sync.spoil();
            self.schedule.want();
            return;
        }
        self.tombs.insert(key, self.round);
    }

    /// Does the flow have a tombstone since that round began?
    fn is_buried(&self, key: &Key, since: u32) -> bool {
        self.tombs.get(key).is_some_and(|round| *round >= since)
    }

    fn clear_tombs(&mut self) {
        if !self.sync.is_listing() && !self.asks.are_under_way() {
            self.tombs = HashMap::default();
        }
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

    /// There is more to know about the flows that are known by events alone. Of a few flows, these
    /// are looked up; many are listed again.
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
