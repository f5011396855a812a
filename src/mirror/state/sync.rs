//! Lists the whole table: mark and sweep.

use std::time::Duration;

use super::{Delta, Flow, Index, Key, Notes, Origin, RemovalCause, State, Status, differ, secs};
use crate::mirror::delta::SyncCause;
use crate::mirror::index::Cursor;
use crate::mirror::merge;

/// The state of the current or last list.
#[derive(Debug, Default)]
pub(super) struct Sync {
    phase: Phase,
    /// The round that this list began.
    round: u32,
    /// Were events lost since it began?
    is_spoiled: bool,
    /// The cause of the next list.
    cause: Option<SyncCause>,
    /// The number of complete lists.
    generation: u64,
    swept: u64,
    /// The number of flows that the sweep must look at, or more. It need not walk over all flows if
    /// there are none.
    unsure: usize,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Rest,
    List,
    /// The flows to sweep next.
    Sweep(Cursor),
}

impl Sync {
    /// Can the list still contain a flow that ended since the list began?
    pub(super) fn is_listing(&self) -> bool {
        matches!(self.phase, Phase::List)
    }

    /// The round that the last list began.
    pub(super) fn round(&self) -> u32 {
        self.round
    }

    /// Counts a version of a flow that replaces another.
    pub(super) fn changes(&mut self, before: Option<&Notes>, after: Option<&Notes>) {
        let is_unsure = |notes: &Notes| {
            let heard = notes.heard;
            notes.touched < self.round || heard.is_lacking() || heard.by_events()
        };
        let [before, after] = [before, after].map(|it| usize::from(it.is_some_and(is_unsure)));
        self.unsure = (self.unsure + after).saturating_sub(before);
    }

    /// A flow that is stored is in doubt now.
    pub(super) fn doubts(&mut self) {
        self.unsure += 1;
    }

    #[cfg(test)]
    pub(super) fn unsure(&self) -> usize {
        self.unsure
    }

    pub(super) fn spoil(&mut self) {
        self.is_spoiled = true;
    }

    pub(super) fn more(&mut self) {
        self.is_spoiled = true;
        self.cause.get_or_insert(SyncCause::More);
    }

    pub(super) fn lost(&mut self, lost: u64) {
        self.is_spoiled = true;
        let before = match self.cause {
            Some(SyncCause::Lost { events }) => events,
            _ => 0,
        };
        let events = before + lost;
        self.cause = Some(SyncCause::Lost { events });
    }
}

impl State {
    #[cfg(test)]
    pub(super) fn is_sweeping(&self) -> bool {
        matches!(self.sync.phase, Phase::Sweep(..))
    }

    /// Begins a list or a round of lookups, and returns its number.
    pub(super) fn begin_round(&mut self) -> u32 {
        // A mirror may run for years. The count begins again when no list, sweep or lookup is under
        // way, because these compare the rounds of flows with their own.
        const MANY: u32 = u32::MAX / 2;
        let rests = matches!(self.sync.phase, Phase::Rest) && !self.asks.are_under_way();
        if self.round >= MANY && rests {
            self.clear_tombs();
            self.index.forget_rounds();
            (self.round, self.sync.round) = (0, 0);
        }
        self.round += 1;
        self.round
    }

    /// A list begins.
    pub(in crate::mirror) fn list_began(&mut self, now: Duration) {
        self.schedule.began(now);
        self.sync.round = self.begin_round();
        self.sync.is_spoiled = false;
        self.sync.swept = 0;
        self.sync.unsure = self.index.len();
        // The list contains again the flows that were left out.
        self.is_full = false;
        self.sync.phase = Phase::List;
        let cause = self.sync.cause.take().unwrap_or(SyncCause::Start);
        self.stats.syncs += 1;
        // The schedule limits how often this is logged.
        match cause {
            SyncCause::Start => tracing::debug!(target: "ctnetlink", "the mirror lists the table"),
            _ => tracing::warn!(target: "ctnetlink", ?cause, "the mirror lists the table again"),
        }
        self.tell(|| Delta::SyncStarted { cause });
    }

    /// Applies flows of the list.
    pub(in crate::mirror) fn listed(&mut self, flows: &mut Vec<Flow>, now: Duration) {
        let index = self.index.clone();
        let hashes = index.hashes(flows.iter().map(Some));
        for (flow, hash) in flows.iter_mut().zip(hashes) {
            self.apply_listed(&index, flow, hash, now);
        }
        flows.clear();
    }

    fn apply_listed(&mut self, index: &Index, flow: &mut Flow, hash: u64, now: Duration) {
        self.learn(flow, now);
        let mut spot = index.spot(Key::orig(flow), hash);
        let known = spot.entry();
        let is_same = known.is_some_and(|known| !differ(known.bare().id, flow.id));
        // A flow that is still known is not the one that ended.
        if !is_same && self.is_buried(flow, self.sync.round) {
            return;
        }
        let Some(known) = spot.entry() else {
            return self.becomes(spot, flow, Origin::List, now);
        };
        let Notes { touched, heard, .. } = known.notes;
        if touched < self.sync.round {
            if !is_same {
                self.replaced(&mut spot, now);
            }
            return self.becomes(spot, flow, Origin::List, now);
        }
        if is_same {
            let (mut flow, doubt) = merge::refreshed(&known.show(secs(now)), flow.clone());
            let is_lacking = doubt || heard.is_lacking();
            let origin = Origin::Both {
                touched,
                is_lacking,
                is_by_events: is_lacking && heard.by_events(),
            };
            self.becomes(spot, &mut flow, origin, now);
        }
    }

    /// The list failed.
    pub(in crate::mirror) fn list_failed(&mut self, now: Duration) {
        self.stats.sync_failures += 1;
        self.schedule.has_failed(now);
        self.sync.phase = Phase::Rest;
        self.sync.cause.get_or_insert(SyncCause::Failed);
        self.clear_tombs();
    }

    /// The list has ended, and all events that were sent before its end have been applied.
    pub(in crate::mirror) fn list_ended(&mut self) {
        self.sync.phase = Phase::Sweep(Cursor::default());
        self.clear_tombs();
    }

    /// Removes some of the flows that the list did not contain. Returns whether it must be called
    /// again. After the last call, the mirror is in sync.
    pub(in crate::mirror) fn sweep(&mut self, now: Duration) -> bool {
        let Phase::Sweep(cursor) = &mut self.sync.phase else {
            return false;
        };
        let mut old = Vec::new();
        let round = self.sync.round;
        let (asks, learnt) = (&mut self.asks, &self.learnt);
        let is_there = self.sync.unsure > 0
            && self.index.walk(cursor, |entry| {
                if entry.notes.touched < round {
                    old.push(entry.key().owned());
                } else if entry.is_in_doubt(learnt) {
                    // The list did not contain the flow, or not the missing field.
                    asks.push(entry.bare());
                }
            });
        if !is_there {
            self.sync.phase = Phase::Rest;
            self.swept(now);
            return false;
        }
        let index = self.index.clone();
        for key in old {
            let mut spot = index.spot(key.by_ref(), index.hash(key.by_ref()));
            if self.removed(&mut spot, secs(now), RemovalCause::Swept) {
                self.stats.swept += 1;
                self.sync.swept += 1;
            }
        }
        true
    }

    fn swept(&mut self, now: Duration) {
        if self.sync.is_spoiled {
            self.schedule.was_spoiled();
            let lost = SyncCause::Lost { events: 0 };
            self.sync.cause.get_or_insert(lost);
            return;
        }
        self.schedule.done();
        if self.is_full {
            return;
        }
        self.sync.generation += 1;
        let (generation, swept) = (self.sync.generation, self.sync.swept);
        let flows = self.index.len();
        self.status = Status::Synced {
            generation,
            since: now,
        };
        tracing::debug!(target: "ctnetlink", generation, flows, swept, "the mirror is in sync");
        self.tell(|| Delta::Synced {
            generation,
            flows,
            swept,
        });
    }

    /// Is there room again for flows that were left out?
    pub(super) fn look_for_room(&mut self) {
        if self.is_full && self.index.len() < self.limit - self.limit / 8 {
            self.is_full = false;
            self.sync.is_spoiled = true;
            self.sync.cause.get_or_insert(SyncCause::Room);
            self.schedule.want();
        }
    }
}
