//! What an event changes.

use std::time::Duration;

use super::origin::Origin;
use super::{Delta, Flow, Index, Key, RemovalCause, Spot, State, differ, tell};
use crate::event::Event;
use crate::mirror::merge;

impl State {
    /// Applies events, in order. `now` is the time of the mirror's clock.
    pub(in crate::mirror) fn events(&mut self, events: &mut Vec<Event>, now: Duration) {
        let index = self.index.clone();
        let hashes = index.hashes(events.iter().map(Event::flow));
        for (event, hash) in events.iter_mut().zip(hashes) {
            self.event(&index, event, hash, now);
        }
        events.clear();
    }

    fn event(&mut self, index: &Index, event: &mut Event, hash: u64, now: Duration) {
        match event {
            Event::New { flow, .. } => {
                self.stats.new += 1;
                self.began(index, flow, hash, now);
            }
            Event::Update { flow, .. } => {
                self.stats.updates += 1;
                self.changed(index, flow, hash, now);
            }
            Event::Destroy { flow, port_id, .. } => {
                self.stats.destroys += 1;
                if self.learnt.learn_of_end(flow) {
                    self.ask_others(now);
                }
                self.ended(index, flow, hash, *port_id);
            }
            Event::Overrun { lost } => {
                self.stats.overruns += 1;
                self.lost(*lost, now);
            }
            Event::ExpectNew { .. } | Event::ExpectDestroy { .. } => return,
        }
        self.stats.events += 1;
    }

    /// Notes an event that does not decode.
    pub(in crate::mirror) fn undecoded(&mut self, now: Duration) {
        self.stats.decode_errors += 1;
        self.lost(1, now);
    }

    fn began(&mut self, index: &Index, flow: &mut Flow, hash: u64, now: Duration) {
        self.learnt.learn_of_event(flow);
        let (spot, doubt) = self.known(index, flow, hash, now);
        let is_lacking = match spot.entry() {
            // If it is not known from the list in progress, it may be another flow with the same
            // id, and the end of the earlier one was lost.
            Some(known) => doubt || known.notes.touched < self.sync.round(),
            None => self.is_unsure() || self.learnt.lacks(flow),
        };
        self.becomes(spot, flow, Origin::Event { is_lacking }, now);
    }

    /// Must a new flow be looked up to learn what the kernel reports? The first one must, because
    /// the flows of the list may be older than a setting. During a list, all must until one
    /// complete flow was seen.
    fn is_unsure(&self) -> bool {
        match self.sync.is_listing() {
            true => !self.learnt.is_known,
            false => !self.learnt.is_recent && !self.has_questions(),
        }
    }

    fn changed(&mut self, index: &Index, flow: &mut Flow, hash: u64, now: Duration) {
        self.learnt.learn_of_event(flow);
        let (spot, doubt) = self.known(index, flow, hash, now);
        if !spot.is_free() {
            let is_lacking = doubt;
            return self.becomes(spot, flow, Origin::Event { is_lacking }, now);
        }
        if self
            .decidable
            .as_ref()
            .is_some_and(|part| !part.matches(flow))
        {
            return self.bury(flow);
        }
        // Its `New` event was missed, and an `Update` contains only a part of the flow.
        match self.decidable == self.filter {
            true => {
                if self.status.is_synced() {
                    self.stats.unreported += 1;
                }
                let is_lacking = true;
                self.becomes(spot, flow, Origin::Event { is_lacking }, now);
            }
            false => self.asks.push(flow),
        }
    }

    fn ended(&mut self, index: &Index, flow: &mut Flow, hash: u64, port_id: Option<u32>) {
        self.bury(flow);
        let mut spot = index.spot(Key::orig(flow), hash);
        let known = spot.entry();
        if known.is_some_and(|known| differ(known.bare().id, flow.id)) {
            // The end of an earlier flow with the same key, or of a later one that was missed.
            spot.doubt();
            self.sync.doubts();
            return self.asks.push(flow);
        }
        let (deltas, learnt, sync) = (&mut self.deltas, &self.learnt, &mut self.sync);
        spot.take(|known| {
            sync.changes(Some(&known.notes), None);
            tell(deltas, || Delta::Removed {
                flow: merge::ended(&known.show(0), flow.clone(), learnt),
                cause: RemovalCause::Destroyed { port_id },
            });
        });
    }

    /// The place of an event's flow. What the event leaves out is added from the known version; the
    /// `bool` says whether that is in doubt. A stored flow with another id has ended, and is removed.
    fn known<'a>(
        &mut self,
        index: &'a Index,
        flow: &mut Flow,
        hash: u64,
        now: Duration,
    ) -> (Spot<'a>, bool) {
        flow.mark = flow.mark.or(self.learnt.no_mark());
        let mut spot = index.spot(Key::orig(flow), hash);
        let Some(known) = spot.entry() else {
            return (spot, false);
        };
        if differ(known.bare().id, flow.id) {
            self.stats.unreported += 1;
            self.replaced(&mut spot, now);
            return (spot, false);
        }
        let doubt = merge::changed(&known.to_merge(), flow) || known.notes.heard.is_lacking();
        (spot, doubt)
    }
}
