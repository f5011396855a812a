//! Lists the whole table: mark and sweep.

use std::time::Duration;

use super::{Delta, Flow, Key, RemovalCause, State, Status, differ, merge, secs};
use crate::mirror::delta::SyncCause;
use crate::mirror::index::SHARDS;

/// The state of the current or last list.
#[derive(Debug, Default)]
pub(super) struct Sync {
    phase: Phase,
    /// The number of lists that were begun.
    number: u32,
    /// The round that this list began.
    round: u32,
    /// Were events lost since it began?
    is_spoiled: bool,
    /// The cause of the next list.
    cause: Option<SyncCause>,
    /// The number of complete lists.
    generation: u64,
    swept: u64,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Rest,
    List,
    /// The shard and chunk to sweep next.
    Sweep(usize, usize),
}

impl Sync {
    /// Can the list still contain a flow that ended since the list began?
    pub(super) fn is_listing(&self) -> bool {
        matches!(self.phase, Phase::List)
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// The round that the last list began.
    pub(super) fn round(&self) -> u32 {
        self.round
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

    /// A list begins.
    pub(in crate::mirror) fn list_began(&mut self, now: Duration) {
        self.schedule.began(now);
        self.round += 1;
        self.sync.number += 1;
        self.sync.round = self.round;
        self.sync.is_spoiled = false;
        self.sync.swept = 0;
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

    /// Applies a flow of the list.
    pub(in crate::mirror) fn listed(&mut self, flow: Flow, now: Duration) {
        self.learn(&flow, now);
        let mut spot = self.index.spot(Key::orig(&flow));
        let is_same = spot.known.is_some_and(|known| !differ(known.id, flow.id));
        // A flow that is still known is not the one that ended.
        if !is_same && self.is_buried(&spot.key, self.sync.round) {
            return;
        }
        // The list is newer than the answers to lookups that began before it.
        let round = self.sync.round;
        let Some(known) = spot.known else {
            return self.becomes(spot, flow, round, false, false, now);
        };
        if known.touched >= round {
            if is_same {
                let merged = self.index.at(&spot, |known| {
                    merge::refreshed(&known.show(secs(now)), flow)
                });
                if let Some((flow, doubt)) = merged {
                    // The list may be older than the event that left a field out.
                    let is_lacking = doubt || known.is_lacking;
                    let by_events = is_lacking && known.by_events;
                    self.becomes(spot, flow, known.touched, is_lacking, by_events, now);
                }
            }
            return;
        }
        if !is_same {
            self.replaced(&mut spot, now);
        }
        self.becomes(spot, flow, round, false, false, now);
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
        self.sync.phase = Phase::Sweep(0, 0);
        self.clear_tombs();
    }

    /// Removes some of the flows that the list did not contain. Returns whether it must be called
    /// again. After the last call, the mirror is in sync.
    pub(in crate::mirror) fn sweep(&mut self, now: Duration) -> bool {
        let Phase::Sweep(shard, chunk) = self.sync.phase else {
            return false;
        };
        if shard == SHARDS {
            self.sync.phase = Phase::Rest;
            self.swept(now);
            return false;
        }
        let mut old = Vec::new();
        let number = self.sync.number;
        let (asks, learnt) = (&mut self.asks, &self.learnt);
        let is_there = self.index.chunk(shard, chunk, |entry| {
            if entry.seen != number {
                old.push(entry.key());
            } else if entry.is_in_doubt(learnt) {
                // The list did not contain the flow, or not the missing field.
                asks.push(entry.key(), entry.bare());
            }
        });
        for key in old {
            let mut spot = self.index.spot(key);
            if self.removed(&mut spot, secs(now), RemovalCause::Swept) {
                self.stats.swept += 1;
                self.sync.swept += 1;
            }
        }
        self.sync.phase = match is_there {
            true => Phase::Sweep(shard, chunk + 1),
            false => Phase::Sweep(shard + 1, 0),
        };
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
