//! Finds flows by the tuple of either direction, for readers.

use super::place::{SLOT, shard_at, shard_of, short, table_hash};
use super::{Entry, Index, Key};
use crate::flow::{Direction, Flow, FlowKey};

impl Index {
    /// The flow that the key names, with the time that it has left. `now` may be older than the last
    /// news of the flow.
    pub(in crate::mirror) fn get(&self, key: &FlowKey, now: u32) -> Option<Flow> {
        let named = Key::named(key);
        // The flow is copied once, to where it is returned.
        let mut found = None;
        let mut look = |entry: &Entry| {
            if key.may_have_id_of(entry.bare()) {
                let now = now.max(entry.notes.heard);
                let flow = found.insert(entry.bare().clone());
                entry.notes.add_to(flow, now);
            }
        };
        let mut look_up = |named: &Key| match key.direction() {
            Direction::Orig => self.by_orig(named, &mut look),
            Direction::Reply => self.by_reply(named, &mut look),
        };
        if look_up(&named).is_none() {
            if let Some(tuple) = named.tuple.without_detail() {
                look_up(&Key { tuple, ..named });
            }
        }
        found
    }

    /// The flow with this original tuple.
    pub(in crate::mirror) fn by_orig<T>(
        &self,
        key: &Key,
        look: impl FnOnce(&Entry) -> T,
    ) -> Option<T> {
        let hash = self.hash(key);
        let shard = self.read(shard_of(hash));
        shard.find(hash, key).map(|(_, entry)| look(entry))
    }

    /// The flow with this reply tuple.
    pub(in crate::mirror) fn by_reply<T>(
        &self,
        key: &Key,
        look: impl FnOnce(&Entry) -> T,
    ) -> Option<T> {
        // Most flows have no NAT.
        let mut look = Some(look);
        let mut found = None;
        self.by_orig(&key.inverse(), |entry| {
            if Key::reply(entry.bare()) == *key {
                found = look.take().map(|look| look(entry));
            }
        });
        if found.is_some() {
            return found;
        }
        let hash = self.hash(key);
        // There is one at the most, unless hashes collide: then a list is allocated.
        let (first, others): (_, Vec<u32>) = {
            let shard = self.read(shard_of(hash));
            let found = shard.by_reply.iter_hash(table_hash(hash));
            let found = found.filter(|place| place.hash == short(hash));
            let mut found = found.map(|place| place.at);
            (found.next(), found.collect())
        };
        for at in first.into_iter().chain(others) {
            let shard = self.read(shard_at(at));
            let entry = shard.slab.get(at & SLOT);
            if let Some(entry) = entry.filter(|entry| entry.reply_key().as_ref() == Some(key)) {
                return look.take().map(|look| look(entry));
            }
        }
        None
    }
}
