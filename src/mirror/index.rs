//! The flows of a mirror, found by the tuple of either direction.
//!
//! There are sixteen shards, each with its own lock. A flow is stored in the shard of its original
//! tuple. If its reply tuple is not just the inverse, the shard of the reply tuple stores the
//! flow's place. There is one writer and any number of readers. No thread waits for a lock while it
//! holds another, except for [`Index::warm`], where the only writer reads.

mod find;
mod place;
mod table;

use std::hash::BuildHasher;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::AT_ONCE;
use super::counts::Tally;
use super::entry::{Entry, Key, Notes, Version};
use super::hash::Keyed;
use super::slab::Slab;
use crate::flow::{Flow, FlowId, Tuple};
use place::{SHARDS, place, shard_at, shard_of, short, slot};
use table::Table;

/// All flows of a mirror.
#[derive(Debug)]
pub(super) struct Index {
    hasher: Keyed,
    shards: [Locked; SHARDS],
    pub(super) tally: Tally,
}

/// Shards share no line of a processor's cache, nor a pair of lines that are fetched together. The
/// lock is beside what it protects, so that both come from another processor at once.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Locked(RwLock<Shard>);

#[derive(Debug, Default)]
struct Shard {
    slab: Slab,
    by_orig: Table,
    by_reply: Table,
}

/// The place of a key, for the writer. It stays valid until the writer changes the index.
#[derive(Debug)]
pub(super) struct Spot {
    hash: u64,
    pub(super) known: Option<Known>,
}

/// The fields of an existing flow that the writer needs to decide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    at: u32,
    pub(super) id: Option<FlowId>,
    pub(super) touched: u32,
    pub(super) is_lacking: bool,
    pub(super) by_events: bool,
}

/// How far a walk over all flows has come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cursor {
    shard: usize,
    chunk: usize,
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

    /// Looks at flows that the writer is about to change, one step for all before the next step.
    /// The processor then reads them from memory at the same time. Without this it reads them one
    /// after the other, because a lock waits for the reads before it.
    pub(super) fn warm(&self, hashes: &[u64]) {
        let shards: [_; SHARDS] = std::array::from_fn(|shard| self.read(shard));
        for some in hashes.chunks(AT_ONCE) {
            let mut places = [None; AT_ONCE];
            for (place, &hash) in places.iter_mut().zip(some) {
                let table = &shards[shard_of(hash)].by_orig;
                *place = table.find(short(hash), Some);
            }
            let entries = places.into_iter().flatten().filter_map(|at| {
                let entry = shards[shard_at(at)].slab.get(slot(at));
                entry.map(Entry::warm)
            });
            std::hint::black_box(entries.fold(0, |all, some| all ^ some));
        }
    }

    /// The place of this original tuple, for the writer.
    pub(super) fn spot(&self, key: Key<&Tuple>) -> Spot {
        let hash = self.hash(key);
        self.spot_and(key, hash, |_| {})
    }

    /// The place of a key whose hash is known. Calls `look` with the flow that is there, under the
    /// same lock.
    pub(super) fn spot_and(&self, key: Key<&Tuple>, hash: u64, look: impl FnOnce(&Entry)) -> Spot {
        let shard = self.read(shard_of(hash));
        let known = shard.find(hash, key).map(|(at, entry)| {
            look(entry);
            Known {
                at,
                id: entry.bare().id,
                touched: entry.notes.touched,
                is_lacking: entry.notes.heard.is_lacking(),
                by_events: entry.notes.heard.by_events(),
            }
        });
        Spot { hash, known }
    }

    /// Reads the flow at a place.
    pub(super) fn at<T>(&self, spot: &Spot, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        let at = spot.known.as_ref()?.at;
        self.read(shard_at(at)).slab.get(slot(at)).map(look)
    }

    /// Stores a flow at its place, and replaces the one that is there. Calls `look` with the last
    /// version, if any, and the new one. After that, `flow` must not be used.
    pub(super) fn put(
        &self,
        spot: &Spot,
        flow: &mut Flow,
        mut notes: Notes,
        look: impl FnOnce(Option<Version<'_>>, Version<'_>),
    ) {
        let index = shard_of(spot.hash);
        let mut shard = self.write(index);
        let there = spot.known.as_ref().map(|known| known.at);
        let there = there.and_then(|at| Some((at, shard.slab.get_mut(slot(at))?)));
        let Some((at, entry)) = there else {
            look(None, Version::new(flow, &notes));
            self.tally.add(flow);
            let reply = Key::of_replies(flow).map(Key::owned);
            let at = shard.insert(index, spot.hash, flow, notes);
            drop(shard);
            return self.remember_reply(reply, at);
        };
        notes.keep(&entry.notes);
        look(Some(entry.version()), Version::new(flow, &notes));
        let before = entry.bare();
        if !Tally::counts_as_one(before, flow) {
            self.tally.sub(before);
            self.tally.add(flow);
        }
        let is_moved = before.reply != flow.reply || before.zone != flow.zone;
        let replies = is_moved.then(|| {
            let [old, new] = [before, &*flow].map(Key::of_replies);
            [old, new].map(|key| key.map(Key::owned))
        });
        *entry = Entry::of(flow, notes);
        drop(shard);
        if let Some([old, new]) = replies {
            self.forget_reply(old, at);
            self.remember_reply(new, at);
        }
    }

    /// Notes that some part of the flow at a place is unknown.
    pub(super) fn doubt(&self, spot: &Spot) {
        if let Some(Known { at, .. }) = spot.known {
            if let Some(entry) = self.write(shard_at(at)).slab.get_mut(slot(at)) {
                entry.notes.heard.set_lacking(true);
            }
        }
    }

    /// Calls `look` with the flow at a place, and removes it.
    pub(super) fn take<T>(&self, spot: &mut Spot, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        let at = spot.known.take()?.at;
        let mut shard = self.write(shard_at(at));
        let Shard { slab, by_orig, .. } = &mut *shard;
        by_orig.remove(short(spot.hash), at);
        let (seen, reply) = slab.remove(slot(at), |entry| {
            self.tally.sub(entry.bare());
            (look(entry), entry.reply_key().map(Key::owned))
        })?;
        drop(shard);
        self.forget_reply(reply, at);
        Some(seen)
    }

    /// Calls `look` with the flows of the next chunk of a walk over all flows. Returns `false` if
    /// there are no more.
    pub(super) fn walk(&self, cursor: &mut Cursor, look: impl FnMut(&Entry)) -> bool {
        while cursor.shard < SHARDS {
            if let Some(entries) = self.read(cursor.shard).slab.chunk(cursor.chunk) {
                cursor.chunk += 1;
                entries.for_each(look);
                return true;
            }
            cursor.shard += 1;
            cursor.chunk = 0;
        }
        false
    }

    /// Notes that no flow has had an event since any list or lookup that is yet to begin.
    pub(super) fn forget_rounds(&self) {
        for shard in 0..SHARDS {
            let mut shard = self.write(shard);
            shard
                .slab
                .all_mut()
                .for_each(|entry| entry.notes.touched = 0);
        }
    }

    /// The number of chunks of a walk. After many flows have ended, they may be few in many chunks.
    pub(super) fn chunks(&self) -> usize {
        (0..SHARDS)
            .map(|shard| self.read(shard).slab.chunks())
            .sum()
    }

    fn remember_reply(&self, key: Option<Key>, at: u32) {
        if let Some(key) = key {
            let hash = self.hash(key.by_ref());
            self.write(shard_of(hash)).by_reply.insert(short(hash), at);
        }
    }

    fn forget_reply(&self, key: Option<Key>, at: u32) {
        if let Some(key) = key {
            let hash = self.hash(key.by_ref());
            self.write(shard_of(hash)).by_reply.remove(short(hash), at);
        }
    }

    pub(super) fn hash(&self, key: Key<&Tuple>) -> u64 {
        self.hasher.hash_one(key)
    }

    fn read(&self, shard: usize) -> RwLockReadGuard<'_, Shard> {
        self.shards[shard]
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, shard: usize) -> RwLockWriteGuard<'_, Shard> {
        self.shards[shard]
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    /// The place of the flow with this original tuple, and the flow.
    #[inline]
    fn find(&self, hash: u64, key: Key<&Tuple>) -> Option<(u32, &Entry)> {
        self.by_orig.find(short(hash), |at| {
            let entry = self.slab.get(slot(at))?;
            entry.has_key(key).then_some((at, entry))
        })
    }

    #[inline]
    fn insert(&mut self, index: usize, hash: u64, flow: &mut Flow, notes: Notes) -> u32 {
        let slot = self.slab.insert(flow, notes);
        let at = place(index, slot);
        self.by_orig.insert(short(hash), at);
        at
    }
}
