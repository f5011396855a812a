//! Flows to be asked for: those of which something is in doubt, and those whose time has passed.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use super::{Flow, Key, RemovalCause, State, differ, secs};
use crate::flow::FlowKey;
use crate::mirror::delta::Delta;
use crate::mirror::hash::Keyed;
use crate::mirror::index::SHARDS;
use crate::mirror::slab::CHUNK;

/// So many wait at the most; the others are found again by the hand.
const MOST: usize = 1 << 16;

/// So many are asked for at a time.
const AT_ONCE: usize = 1024;

/// Each flow is looked at once in so many ticks.
const TICKS: usize = 16;

/// So many chunks are looked at in each.
const FEW: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Asks {
    waiting: VecDeque<FlowKey>,
    /// The keys of those that wait.
    keys: HashSet<Key, Keyed>,
    /// The round under way.
    round: Option<Round>,
    /// The shard and chunk that the hand is at.
    hand: (usize, usize),
}

/// A round of questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mirror) struct Round(u32);

impl Asks {
    pub(super) fn are_under_way(&self) -> bool {
        self.round.is_some()
    }

    /// Puts a flow down to be asked for.
    pub(super) fn push(&mut self, key: Key, flow: &Flow) {
        self.push_key(key, FlowKey::orig(flow.orig).zone(flow.zone));
    }

    fn push_key(&mut self, key: Key, named: FlowKey) {
        if self.waiting.len() < MOST && self.keys.insert(key) {
            self.waiting.push_back(named);
        }
    }
}

impl State {
    /// Is anything in doubt?
    pub(in crate::mirror) fn has_questions(&self) -> bool {
        self.asks.are_under_way() || !self.asks.waiting.is_empty()
    }

    /// The flows to ask for now, if there are some and none are asked for.
    pub(in crate::mirror) fn questions(&mut self) -> Option<(Round, Vec<FlowKey>)> {
        if self.asks.are_under_way() || self.asks.waiting.is_empty() {
            return None;
        }
        self.round += 1;
        let round = Round(self.round);
        self.asks.round = Some(round);
        let many = self.asks.waiting.len().min(AT_ONCE);
        let keys: Vec<FlowKey> = self.asks.waiting.drain(..many).collect();
        for key in &keys {
            self.asks.keys.remove(&Key::named(key));
        }
        self.stats.asked += keys.len() as u64;
        Some((round, keys))
    }

    /// An answer. All events that were sent before it have been applied.
    pub(in crate::mirror) fn answered(
        &mut self,
        round: Round,
        key: &FlowKey,
        flow: Option<Flow>,
        now: Duration,
    ) {
        if round.0 < self.sync.round() {
            // A list has begun since it was asked for, and may be the younger.
            self.asks.push_key(Key::named(key), *key);
            return;
        }
        let key = flow.as_ref().map_or(Key::named(key), Key::orig);
        let mut spot = self.index.spot(key);
        if let Some(known) = spot.known.filter(|known| known.touched >= round.0) {
            if known.is_lacking {
                let Self { index, asks, .. } = self;
                index.at(&spot, |known| asks.push(key, known.bare()));
            }
            return;
        }
        let Some(flow) = flow else {
            if let Some(known) = self.index.take(&mut spot) {
                self.stats.unreported += 1;
                self.tell(|| Delta::Removed {
                    flow: known.show(secs(now)),
                    cause: RemovalCause::Gone,
                });
            }
            return;
        };
        self.learnt.learn(&flow);
        if self.is_buried(&key, round.0) {
            return;
        }
        if spot.known.is_some_and(|known| differ(known.id, flow.id)) {
            self.stats.unreported += 1;
            self.replaced(&mut spot);
        }
        // What a list under way has of it may be older than this.
        self.becomes(spot, flow, self.round, false, now);
    }

    /// There is no answer for this one: it is asked for again.
    pub(in crate::mirror) fn unanswered(&mut self, key: FlowKey) {
        self.asks.push_key(Key::named(&key), key);
    }

    /// The round is at its end.
    pub(in crate::mirror) fn answers_ended(&mut self) {
        self.asks.round = None;
        self.exhume();
    }

    /// Looks at a part of the flows, for those that want to be asked for. To be called once a second.
    pub(in crate::mirror) fn tick(&mut self, now: Duration) {
        self.look_for_room();
        let now = secs(now);
        let chunks = FEW.max(self.index.len() / CHUNK / TICKS);
        let is_listing = self.sync.is_listing();
        for _ in 0..chunks {
            let (shard, chunk) = self.asks.hand;
            let (asks, recheck) = (&mut self.asks, self.recheck);
            let is_there = self.index.chunk(shard, chunk, |entry| {
                let is_old = recheck.is_some_and(|it| entry.heard.saturating_add(it) <= now);
                if entry.deadline <= now || is_old || entry.is_lacking && !is_listing {
                    asks.push(entry.key(), entry.bare());
                }
            });
            self.asks.hand = match is_there {
                true => (shard, chunk + 1),
                false => ((shard + 1) % SHARDS, 0),
            };
        }
    }
}
