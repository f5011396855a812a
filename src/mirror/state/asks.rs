//! Flows to look up: flows that are in doubt, and flows whose timeout has passed.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use super::{Flow, Key, Origin, RemovalCause, State, differ, secs};
use crate::flow::FlowKey;
use crate::mirror::hash::Keyed;
use crate::mirror::index::Cursor;

/// The maximum number of waiting flows. The others are found again by a later [`State::tick`].
const MOST: usize = 1 << 16;

/// The maximum number of flows in one round.
pub(super) const AT_ONCE: usize = 1024;

/// Each flow is checked once in this many ticks.
const TICKS: usize = 16;

/// The minimum number of chunks that are checked in one tick.
const FEW: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Asks {
    waiting: VecDeque<FlowKey>,
    /// The keys of the waiting flows.
    keys: HashSet<Key, Keyed>,
    /// The round in flight.
    round: Option<Round>,
    /// The flows to check next.
    check: Cursor,
}

/// The number of a round of lookups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mirror) struct Round(u32);

impl Asks {
    pub(super) fn are_under_way(&self) -> bool {
        self.round.is_some()
    }

    /// Adds a flow to be looked up.
    pub(super) fn push(&mut self, flow: &Flow) {
        self.push_key(FlowKey::orig(flow.orig).zone(flow.zone));
    }

    fn push_key(&mut self, key: FlowKey) {
        if self.waiting.len() < MOST && self.keys.insert(Key::named(&key).owned()) {
            self.waiting.push_back(key);
        }
    }
}

impl State {
    /// Looks up all flows that are in doubt.
    pub(super) fn ask_all_in_doubt(&mut self) {
        let (asks, learnt) = (&mut self.asks, &self.learnt);
        let mut cursor = Cursor::default();
        while self.index.walk(&mut cursor, |entry| {
            if entry.is_in_doubt(learnt) {
                asks.push(entry.bare());
            }
        }) {}
    }

    /// Is anything in doubt?
    pub(in crate::mirror) fn has_questions(&self) -> bool {
        self.asks.are_under_way() || !self.asks.waiting.is_empty()
    }

    /// Begins a round: returns the flows to look up, if there are any and no round is in flight.
    pub(in crate::mirror) fn questions(&mut self) -> Option<(Round, Vec<FlowKey>)> {
        if self.asks.are_under_way() || self.asks.waiting.is_empty() {
            return None;
        }
        let round = Round(self.begin_round());
        self.asks.round = Some(round);
        let many = self.asks.waiting.len().min(AT_ONCE);
        let keys: Vec<FlowKey> = self.asks.waiting.drain(..many).collect();
        for key in &keys {
            self.asks.keys.remove(&Key::named(key).owned());
        }
        self.stats.asked += keys.len() as u64;
        Some((round, keys))
    }

    /// Applies an answer. All events that were sent before it must have been applied.
    pub(in crate::mirror) fn answered(
        &mut self,
        round: Round,
        key: &FlowKey,
        flow: Option<Flow>,
        now: Duration,
    ) {
        if round.0 < self.sync.round() {
            // A list has begun since the lookup, and may be newer. Look it up again.
            self.asks.push_key(*key);
            return;
        }
        let named = flow.as_ref().map_or(Key::named(key), Key::orig);
        let index = self.index.clone();
        if let Some(flow) = &flow {
            // A flow of the list may be older than a setting.
            let is_recent = index.by_orig(named).is_some_and(|known| {
                let known = known.entry();
                known.is_some_and(|known| known.notes.heard.by_events())
            });
            self.learnt.is_recent |= is_recent;
            self.learn(flow, now);
        }
        let mut spot = index.spot(named, index.hash(named));
        let known = spot.entry();
        if let Some(known) = known.filter(|known| known.notes.touched >= round.0) {
            if known.is_in_doubt(&self.learnt) {
                self.asks.push(known.bare());
            }
            return;
        }
        let Some(mut flow) = flow else {
            if self.removed(&mut spot, secs(now), RemovalCause::Gone) {
                self.stats.unreported += 1;
            }
            return;
        };
        let is_other = known.is_some_and(|known| differ(known.bare().id, flow.id));
        if (is_other || spot.is_free()) && self.is_buried(&flow, round.0) {
            return;
        }
        if is_other {
            self.stats.unreported += 1;
            self.replaced(&mut spot, now);
        }
        self.becomes(spot, &mut flow, Origin::Lookup, now);
    }

    /// There was no answer for this flow: look it up again.
    pub(in crate::mirror) fn unanswered(&mut self, key: FlowKey) {
        self.asks.push_key(key);
    }

    /// The round has ended.
    pub(in crate::mirror) fn answers_ended(&mut self, now: Duration) {
        self.asks.round = None;
        if !self.learnt.is_known {
            // The flow that was looked up has ended.
            self.ask_others(now);
        }
        self.clear_tombs();
    }

    /// Checks a part of the flows for those that must be looked up. Called once a second.
    pub(in crate::mirror) fn tick(&mut self, now: Duration) {
        self.look_for_room();
        let now = secs(now);
        let chunks = FEW.max(self.index.chunks().div_ceil(TICKS));
        let is_listing = self.sync.is_listing();
        for _ in 0..chunks {
            let mut cursor = self.asks.check;
            let (asks, learnt, recheck) = (&mut self.asks, &self.learnt, self.recheck);
            let is_there = self.index.walk(&mut cursor, |entry| {
                let heard = entry.notes.heard.time();
                let is_old = recheck.is_some_and(|it| heard.saturating_add(it) <= now);
                let is_in_doubt = !is_listing && entry.is_in_doubt(learnt);
                if entry.is_over(now) || is_old || is_in_doubt {
                    asks.push(entry.bare());
                }
            });
            self.asks.check = match is_there {
                true => cursor,
                false => Cursor::default(),
            };
        }
    }
}
