//! Tombstones: flows that a list or lookup must not add again.

use std::collections::HashMap;

use super::{Flow, Key, State};

/// The maximum number of tombstones. If there are more during a list, the list is repeated.
const MOST: usize = 1 << 20;

impl State {
    /// Adds a tombstone, if an older list or lookup could still add the flow again.
    pub(super) fn bury(&mut self, flow: &Flow) {
        if !self.sync.is_listing() && !self.asks.are_under_way() {
            return;
        }
        if self.tombs.len() >= MOST {
            self.sync.spoil();
            self.schedule.want();
            return;
        }
        self.tombs.insert(Key::orig(flow).owned(), self.round);
    }

    /// Does the flow have a tombstone since that round began?
    pub(super) fn is_buried(&self, flow: &Flow, since: u32) -> bool {
        let key = || Key::orig(flow).owned();
        !self.tombs.is_empty() && self.tombs.get(&key()).is_some_and(|round| *round >= since)
    }

    pub(super) fn clear_tombs(&mut self) {
        if !self.sync.is_listing() && !self.asks.are_under_way() {
            self.tombs = HashMap::default();
        }
    }
}
