//! Finds flows by the tuple of either direction, for readers.

use std::sync::RwLockReadGuard;

use super::place::{shard_at, shard_of, short, slot};
use super::{Entry, Index, Key, Shard};
use crate::flow::{Direction, Flow, FlowKey, Tuple};

/// A flow that does not change while this is held.
pub(in crate::mirror) struct Held<'a> {
    shard: RwLockReadGuard<'a, Shard>,
    slot: usize,
}

impl Held<'_> {
    #[inline]
    pub(in crate::mirror) fn entry(&self) -> Option<&Entry> {
        self.shard.slab.get(self.slot)
    }
}

impl Index {
    /// The flow that the key names, with the time that it has left. `now` may be older than the last
    /// news of the flow.
    pub(in crate::mirror) fn get(&self, key: &FlowKey, now: u32) -> Option<Flow> {
        let look_up = |named: Key<&Tuple>| match key.direction() {
            Direction::Orig => self.by_orig(named),
            Direction::Reply => self.by_reply(named),
        };
        let named = Key::named(key);
        let found = look_up(named).or_else(|| {
            let tuple = named.tuple.without_detail()?;
            look_up(Key {
                tuple: &tuple,
                ..named
            })
        });
        let found = found?;
        let entry = found.entry()?;
        if !key.may_have_id_of(entry.bare()) {
            return None;
        }
        Some(entry.show(now))
    }

    /// The flow with this original tuple.
    #[inline]
    pub(in crate::mirror) fn by_orig(&self, key: Key<&Tuple>) -> Option<Held<'_>> {
        let hash = self.hash(key);
        let shard = self.read(shard_of(hash));
        let (at, _) = shard.find(hash, key)?;
        Some(Held {
            shard,
            slot: slot(at),
        })
    }

    /// The flow with this reply tuple.
    pub(in crate::mirror) fn by_reply(&self, key: Key<&Tuple>) -> Option<Held<'_>> {
        // Most flows have no NAT.
        let plain = self.by_orig(key.inverse().by_ref());
        let is_reply = |held: &Held<'_>| held.entry().is_some_and(|entry| entry.has_reply_key(key));
        plain.filter(is_reply).or_else(|| self.by_translated(key))
    }

    /// The flow with this reply tuple, if it is not just the inverse of the original tuple.
    fn by_translated(&self, key: Key<&Tuple>) -> Option<Held<'_>> {
        let hash = self.hash(key);
        // There is one at the most, unless hashes collide: then a list is allocated.
        let (mut first, mut others) = (None, Vec::new());
        self.read(shard_of(hash)).by_reply.find(short(hash), |at| {
            match first {
                None => first = Some(at),
                Some(_) => others.push(at),
            }
            None::<()>
        });
        first.into_iter().chain(others).find_map(|at| {
            let shard = self.read(shard_at(at));
            let slot = slot(at);
            let entry = shard.slab.get(slot)?;
            let is_it = entry.reply_key() == Some(key);
            is_it.then_some(Held { shard, slot })
        })
    }
}
