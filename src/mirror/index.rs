//! The flows of a mirror, found by the tuple of either direction.
//!
//! There are sixteen shards, each with its own lock. A flow is stored in the shard of its original
//! tuple. If its reply tuple is not just the inverse, the shard of the reply tuple stores the
//! flow's place. There is one writer and any number of readers. No thread waits for a lock while it
//! holds another, except for [`Index::warm`], where the only writer reads.

use std::hash::BuildHasher;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::HashTable;

use super::counts::Tally;
use super::entry::{Entry, Key};
use super::hash::Keyed;
use super::slab::Slab;
use crate::flow::{Flow, FlowId};

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

/// Shards share no line of a processor's cache, nor a pair of lines that are fetched together.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    slab: Slab,
    by_orig: HashTable<Place>,
    by_reply: HashTable<Place>,
}

/// The place of a flow, with the hash of its tuple. The hash is compared first, so that usually
/// only the right flow is read from memory, and a table can grow without reading flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    hash: u32,
    /// Shard and slot.
    at: u32,
}

/// The place of a key, for the writer. It stays valid until the writer changes the index.
#[derive(Debug)]
pub(super) struct Spot {
    pub(super) key: Key,
    hash: u64,
    pub(super) known: Option<Known>,
}

/// The fields of an existing flow that the writer needs for its decisions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    at: u32,
    pub(super) id: Option<FlowId>,
    pub(super) touched: u32,
    pub(super) is_lacking: bool,
    pub(super) by_events: bool,
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
        shard.find(hash, key).map(|(_, entry)| look(entry))
    }

    /// The flow with this reply tuple.
    pub(super) fn by_reply<T>(&self, key: &Key, look: impl FnOnce(&Entry) -> T) -> Option<T> {
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

    /// Looks at flows that the writer is about to change, one step for all before the next step. So
    /// the processor reads them from memory at the same time. Applying the events reads them one
    /// after the other, because a lock waits for the reads before it.
    pub(super) fn warm<'a>(&self, flows: impl Iterator<Item = &'a Flow>) {
        let shards: [_; SHARDS] = std::array::from_fn(|shard| self.read(shard));
        let hashes: Vec<u64> = flows.map(|flow| self.hash(&Key::orig(flow))).collect();
        let places = hashes.into_iter().filter_map(|hash| {
            let places = &shards[shard_of(hash)].by_orig;
            let place = places.find(table_hash(hash), |place| place.hash == short(hash));
            place.map(|place| place.at)
        });
        let places: Vec<u32> = places.collect();
        let entries = places.into_iter().filter_map(|at| {
            let entry = shards[shard_at(at)].slab.get(at & SLOT);
            entry.map(Entry::warm)
        });
        std::hint::black_box(entries.fold(0, |all, some| all ^ some));
    }

    /// The place of this original tuple, for the writer.
    pub(super) fn spot(&self, key: Key) -> Spot {
        self.spot_and(key, |_| {})
    }

    /// The same, and calls `look` with the flow that is there: under one lock.
    pub(super) fn spot_and(&self, key: Key, look: impl FnOnce(&Entry)) -> Spot {
        let hash = self.hash(&key);
        let shard = self.read(shard_of(hash));
        let known = shard.find(hash, &key).map(|(at, entry)| {
            look(entry);
            Known {
                at,
                id: entry.bare().id,
                touched: entry.touched,
                is_lacking: entry.is_lacking,
                by_events: entry.by_events,
            }
        });
        Spot { key, hash, known }
    }

    /// Reads the flow at a place.
    pub(super) fn at<T>(&self, spot: &Spot, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        let at = spot.known.as_ref()?.at;
        self.read(shard_at(at)).slab.get(at & SLOT).map(look)
    }

    /// Stores a flow at its place, and replaces the one that is there: `join` is called with that
    /// and the new one before.
    pub(super) fn put(
        &self,
        spot: &Spot,
        mut entry: Entry,
        join: impl FnOnce(Option<&Entry>, &mut Entry),
    ) {
        let index = shard_of(spot.hash);
        let mut shard = self.write(index);
        let there = spot.known.as_ref().map(|known| known.at);
        let there = there.and_then(|at| Some((at, shard.slab.get_mut(at & SLOT)?)));
        let Some((at, before)) = there else {
            join(None, &mut entry);
            self.tally.add(entry.bare());
            let reply = entry.reply_key();
            let at = shard.insert(index, spot.hash, entry);
            drop(shard);
            return self.remember_reply(reply, at);
        };
        join(Some(before), &mut entry);
        if !Tally::counts_as_one(before.bare(), entry.bare()) {
            self.tally.sub(before.bare());
            self.tally.add(entry.bare());
        }
        let reply = |entry: &Entry| (entry.bare().reply, entry.bare().zone);
        let is_moved = reply(before) != reply(&entry);
        let (old, new) = match is_moved {
            true => (before.reply_key(), entry.reply_key()),
            false => (None, None),
        };
        *before = entry;
        drop(shard);
        if is_moved {
            self.forget_reply(old, at);
            self.remember_reply(new, at);
        }
    }

    /// Notes that some part of the flow at a place is unknown.
    pub(super) fn doubt(&self, spot: &Spot) {
        if let Some(Known { at, .. }) = spot.known {
            if let Some(entry) = self.write(shard_at(at)).slab.get_mut(at & SLOT) {
                entry.is_lacking = true;
            }
        }
    }

    /// Calls `look` with the flow at a place, and removes it.
    pub(super) fn take<T>(&self, spot: &mut Spot, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        let at = spot.known.take()?.at;
        let mut shard = self.write(shard_at(at));
        let Shard { slab, by_orig, .. } = &mut *shard;
        forget(by_orig, spot.hash, at);
        let (seen, reply) = slab.remove(at & SLOT, |entry| {
            self.tally.sub(entry.bare());
            (look(entry), entry.reply_key())
        })?;
        drop(shard);
        self.forget_reply(reply, at);
        Some(seen)
    }

    /// Calls `look` with the flows of one chunk of a shard. Returns `false` if there is no such
    /// chunk.
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

    fn remember_reply(&self, key: Option<Key>, at: u32) {
        if let Some(key) = key {
            let hash = self.hash(&key);
            remember(&mut self.write(shard_of(hash)).by_reply, hash, at);
        }
    }

    fn forget_reply(&self, key: Option<Key>, at: u32) {
        if let Some(key) = key {
            let hash = self.hash(&key);
            forget(&mut self.write(shard_of(hash)).by_reply, hash, at);
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
    /// The place of the flow with this original tuple, and the flow.
    fn find(&self, hash: u64, key: &Key) -> Option<(u32, &Entry)> {
        let mut found = None;
        self.by_orig.find(table_hash(hash), |place| {
            let entry = || self.slab.get(place.at & SLOT);
            found = (place.hash == short(hash))
                .then(entry)
                .flatten()
                .filter(|entry| entry.has_key(key))
                .map(|entry| (place.at, entry));
            found.is_some()
        });
        found
    }

    #[inline]
    fn insert(&mut self, index: usize, hash: u64, entry: Entry) -> u32 {
        let at = ((index as u32) << SLOT_BITS) | self.slab.insert(entry);
        remember(&mut self.by_orig, hash, at);
        at
    }
}

fn remember(table: &mut HashTable<Place>, hash: u64, at: u32) {
    let place = Place {
        hash: short(hash),
        at,
    };
    table.insert_unique(table_hash(hash), place, Place::table_hash);
}

/// Removes a place, and frees memory when most of the table is unused.
fn forget(table: &mut HashTable<Place>, hash: u64, at: u32) {
    if let Ok(found) = table.find_entry(table_hash(hash), |place| place.at == at) {
        found.remove();
    }
    if is_wide(table) {
        table.shrink_to(2 * table.len(), Place::table_hash);
    }
}

impl Place {
    fn table_hash(&self) -> u64 {
        spread(self.hash)
    }
}

/// Is at most an eighth of the table in use? So it shrinks only when it has lost most of its
/// entries since it last grew or shrank.
fn is_wide<T>(table: &HashTable<T>) -> bool {
    const FEW: usize = 256;
    table.capacity() > FEW.max(8 * table.len())
}

fn shard_of(hash: u64) -> usize {
    hash as usize % SHARDS
}

fn shard_at(at: u32) -> usize {
    (at >> SLOT_BITS) as usize
}

/// The part of a hash that is stored with a place. The lowest bits are left out, because they are
/// the same in the whole shard.
fn short(hash: u64) -> u32 {
    (hash >> SHARD_BITS) as u32
}

/// The hash for the tables of a shard. It is computed from the stored part, so that a table can
/// grow.
fn table_hash(hash: u64) -> u64 {
    spread(short(hash))
}

/// Mixes all bits, because a table uses bits from both ends.
fn spread(short: u32) -> u64 {
    let hash = u64::from(short).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 32)
}
