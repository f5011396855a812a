//! The flows of a mirror, found by the tuple of either direction.
//!
//! Sixteen shards with a lock each. A flow lies in the shard of its original tuple; where its reply
//! tuple does not follow from that, the shard of the reply tuple knows its place. One writer, any
//! number of readers; nobody ever holds two locks.

use std::hash::BuildHasher;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::HashTable;

use super::counts::Tally;
use super::entry::{Entry, Key};
use super::hash::Keyed;
use super::slab::Slab;

const SHARD_BITS: u32 = 4;
pub(super) const SHARDS: usize = 1 << SHARD_BITS;
const SLOT_BITS: u32 = u32::BITS - SHARD_BITS;
const SLOT: u32 = (1 << SLOT_BITS) - 1;

/// All flows of a mirror.
#[derive(Debug)]
pub(super) struct Index {
    hasher: Keyed,
    shards: [RwLock<Shard>; SHARDS],
    pub(super) tally: Tally,
}

#[derive(Debug, Default)]
struct Shard {
    slab: Slab,
    by_orig: HashTable<u32>,
    by_reply: HashTable<Place>,
}

/// Where a flow lies whose reply tuple has this hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    hash: u32,
    /// Shard and slot.
    at: u32,
}

impl Index {
    pub(super) fn new() -> Self {
        Self {
            hasher: Keyed::default(),
            shards: Default::default(),
            tally: Tally::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tally.len()
    }

    /// The flow with this original tuple.
    pub(super) fn by_orig<T>(&self, key: &Key, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        let hash = self.hash(key);
        let shard = self.read(shard_of(hash));
        let slot = shard.find(hash, key)?;
        shard.slab.get(slot).map(look)
    }

    /// The flow with this reply tuple.
    pub(super) fn by_reply<T>(&self, key: &Key, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        let hash = self.hash(key);
        let mut look = Some(look);
        let places: Vec<u32> = {
            let shard = self.read(shard_of(hash));
            let found = shard.by_reply.iter_hash(table_hash(hash));
            found
                .filter(|place| place.hash == short(hash))
                .map(|place| place.at)
                .collect()
        };
        for at in places {
            let shard = self.read((at >> SLOT_BITS) as usize);
            let entry = shard.slab.get(at & SLOT);
            if let Some(entry) = entry.filter(|entry| entry.reply_key().as_ref() == Some(key)) {
                return look.take().map(|look| look(entry));
            }
        }
        let mut found = None;
        self.by_orig(&key.inverse(), |entry| {
            if Key::reply(entry.bare()) == *key {
                found = look.take().map(|look| look(entry));
            }
        });
        found
    }

    /// Puts a flow in, over the one with its original tuple, if there is one.
    pub(super) fn put(&self, entry: Entry) {
        let key = entry.key();
        let hash = self.hash(&key);
        let reply = entry.reply_key();
        let index = shard_of(hash);
        self.tally.add(entry.bare());
        let (slot, before) = {
            let mut shard = self.write(index);
            match shard.find(hash, &key) {
                Some(slot) => {
                    let before = shard.slab.get_mut(slot);
                    (slot, before.map(|before| std::mem::replace(before, entry)))
                }
                None => (shard.insert(hash, entry, &self.hasher), None),
            }
        };
        let at = ((index as u32) << SLOT_BITS) | slot;
        if let Some(before) = before {
            self.tally.sub(before.bare());
            match before.reply_key() {
                old if old == reply => return,
                Some(old) => self.forget_reply(&old, at),
                None => {}
            }
        }
        if let Some(reply) = reply {
            let hash = self.hash(&reply);
            let place = Place {
                hash: short(hash),
                at,
            };
            let mut shard = self.write(shard_of(hash));
            let rehash = |place: &Place| spread(place.hash);
            shard
                .by_reply
                .insert_unique(table_hash(hash), place, rehash);
        }
    }

    /// Takes the flow with this original tuple out.
    pub(super) fn remove(&self, key: &Key) -> Option<Entry> {
        let hash = self.hash(key);
        let index = shard_of(hash);
        let (slot, entry) = {
            let mut shard = self.write(index);
            let Shard { slab, by_orig, .. } = &mut *shard;
            let found = by_orig.find_entry(table_hash(hash), |slot| {
                slab.get(*slot).is_some_and(|entry| entry.key() == *key)
            });
            let (slot, _) = found.ok()?.remove();
            let entry = slab.remove(slot)?;
            shard.shrink(&self.hasher);
            (slot, entry)
        };
        self.tally.sub(entry.bare());
        if let Some(reply) = entry.reply_key() {
            self.forget_reply(&reply, ((index as u32) << SLOT_BITS) | slot);
        }
        Some(entry)
    }

    /// Looks at the flows of a chunk of a shard; `false` where there is no such chunk.
    pub(super) fn chunk(&self, shard: usize, chunk: usize, mut look: impl FnMut(&Entry)) -> bool {
        let shard = self.read(shard);
        match shard.slab.chunk(chunk) {
            Some(entries) => {
                entries.for_each(&mut look);
                true
            }
            None => false,
        }
    }

    fn forget_reply(&self, key: &Key, at: u32) {
        let hash = self.hash(key);
        let mut shard = self.write(shard_of(hash));
        let found = shard
            .by_reply
            .find_entry(table_hash(hash), |place| place.at == at);
        if let Ok(found) = found {
            found.remove();
        }
        if is_wide(&shard.by_reply) {
            let room = 2 * shard.by_reply.len();
            shard.by_reply.shrink_to(room, |place| spread(place.hash));
        }
    }

    fn hash(&self, key: &Key) -> u64 {
        self.hasher.hash_one(key)
    }

    fn read(&self, shard: usize) -> RwLockReadGuard<'_, Shard> {
        self.shards[shard]
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, shard: usize) -> RwLockWriteGuard<'_, Shard> {
        self.shards[shard]
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn find(&self, hash: u64, key: &Key) -> Option<u32> {
        let is_it = |slot: &u32| {
            let entry = self.slab.get(*slot);
            entry.is_some_and(|entry| entry.key() == *key)
        };
        self.by_orig.find(table_hash(hash), is_it).copied()
    }

    fn insert(&mut self, hash: u64, entry: Entry, hasher: &Keyed) -> u32 {
        let slot = self.slab.insert(entry);
        let slab = &self.slab;
        self.by_orig
            .insert_unique(table_hash(hash), slot, rehash(slab, hasher));
        slot
    }

    /// Gives memory back where the most is for flows that have gone.
    fn shrink(&mut self, hasher: &Keyed) {
        let Self { slab, by_orig, .. } = self;
        if is_wide(by_orig) {
            by_orig.shrink_to(2 * by_orig.len(), rehash(slab, hasher));
        }
    }
}

fn rehash<'a>(slab: &'a Slab, hasher: &'a Keyed) -> impl Fn(&u32) -> u64 + 'a {
    |slot| match slab.get(*slot) {
        Some(entry) => table_hash(hasher.hash_one(entry.key())),
        None => 0,
    }
}

/// Is most of it empty? What shrinks then has gone down to an eighth since it grew or shrank last.
fn is_wide<T>(table: &HashTable<T>) -> bool {
    const FEW: usize = 256;
    table.capacity() > FEW.max(8 * table.len())
}

fn shard_of(hash: u64) -> usize {
    hash as usize % SHARDS
}

/// What is kept of a hash beside a place. The lowest bits are the same throughout a shard.
fn short(hash: u64) -> u32 {
    (hash >> SHARD_BITS) as u32
}

/// The hash in the tables of a shard: made of what is kept, so that a table can grow.
fn table_hash(hash: u64) -> u64 {
    spread(short(hash))
}

/// All bits hang on all: a table takes its own from both ends.
fn spread(short: u32) -> u64 {
    let hash = u64::from(short).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 32)
}
