//! The flows of a mirror, found by the tuple of either direction.
//!
//! There are sixteen shards, each with its own lock. A flow is stored in the shard of its original
//! tuple. If its reply tuple is not just the inverse, the shard of the reply tuple stores the
//! flow's place. There is one writer and any number of readers. A reader never waits for a lock
//! while it holds another, so the writer may.

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
use crate::flow::{Flow, Tuple};
use place::{SHARDS, place, shard_at, shard_of, short, slot};
use table::Table;

/// For fewer flows, reading them in advance saves nothing.
const FEW: usize = 4;

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

/// The place of a key, for the writer. It holds the lock of its shard: while there is one, the
/// writer must not look at the index in another way.
#[derive(Debug)]
pub(super) struct Spot<'a> {
    index: &'a Index,
    shard: RwLockWriteGuard<'a, Shard>,
    hash: u64,
    /// Where the flow is, if there is one.
    at: Option<u32>,
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

    /// The hashes of flows that the writer is about to change. Reads the known ones in advance.
    pub(super) fn hashes<'a>(&self, flows: impl Iterator<Item = Option<&'a Flow>>) -> Vec<u64> {
        let hash = |flow: &Flow| self.hash(Key::orig(flow));
        let hashes: Vec<u64> = flows
            .map(|flow| flow.map(hash).unwrap_or_default())
            .collect();
        if hashes.len() >= FEW {
            self.warm(&hashes);
        }
        hashes
    }

    /// Looks at flows that the writer is about to change, each step for all before the next step.
    /// The processor then reads them from memory at the same time. Without this it reads them one
    /// after the other, because a lock waits for the reads before it.
    fn warm(&self, hashes: &[u64]) {
        let shards: [_; SHARDS] = std::array::from_fn(|shard| self.read(shard));
        for some in hashes.chunks(AT_ONCE) {
            let homes = some.iter().map(|&hash| {
                let table = &shards[shard_of(hash)].by_orig;
                table.warm(short(hash))
            });
            std::hint::black_box(homes.fold(0, |all, some| all ^ some));
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

    /// The place of this original tuple, for the writer. `hash` is that of the key.
    pub(super) fn spot(&self, key: Key<&Tuple>, hash: u64) -> Spot<'_> {
        let shard = self.write(shard_of(hash));
        let at = shard.find(hash, key).map(|(at, _)| at);
        Spot {
            index: self,
            shard,
            hash,
            at,
        }
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

impl Spot<'_> {
    /// Is there no flow?
    pub(super) fn is_free(&self) -> bool {
        self.at.is_none()
    }

    /// The flow that is there.
    pub(super) fn entry(&self) -> Option<&Entry> {
        self.shard.slab.get(slot(self.at?))
    }

    /// Stores a flow, and replaces the one that is there. Calls `look` with the last version, if
    /// any, and the new one. After that, `flow` must not be used.
    pub(super) fn put(
        mut self,
        flow: &mut Flow,
        mut notes: Notes,
        look: impl FnOnce(Option<Version<'_>>, Version<'_>),
    ) {
        let tally = &self.index.tally;
        let there = self
            .at
            .and_then(|at| Some((at, self.shard.slab.get_mut(slot(at))?)));
        let Some((at, entry)) = there else {
            look(None, Version::new(flow, &notes));
            tally.add(flow);
            let reply = Key::of_replies(flow).map(Key::owned);
            let at = self.shard.insert(self.hash, flow, notes);
            return self.remember_reply(reply, at);
        };
        notes.keep(&entry.notes);
        look(Some(entry.version()), Version::new(flow, &notes));
        let before = entry.bare();
        if !Tally::counts_as_one(before, flow) {
            tally.sub(before);
            tally.add(flow);
        }
        let is_moved = before.reply != flow.reply || before.zone != flow.zone;
        let replies = is_moved.then(|| {
            let [old, new] = [before, &*flow].map(Key::of_replies);
            [old, new].map(|key| key.map(Key::owned))
        });
        *entry = Entry::of(flow, notes);
        if let Some([old, new]) = replies {
            self.forget_reply(old, at);
            self.remember_reply(new, at);
        }
    }

    /// Notes that some part of the flow is unknown.
    pub(super) fn doubt(&mut self) {
        let entry = self.at.and_then(|at| self.shard.slab.get_mut(slot(at)));
        if let Some(entry) = entry {
            entry.notes.heard.set_lacking(true);
        }
    }

    /// Calls `look` with the flow, and removes it.
    pub(super) fn take<T>(&mut self, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        let at = self.at.take()?;
        self.shard.by_orig.remove(short(self.hash), at);
        let (seen, reply) = self.shard.slab.remove(slot(at), |entry| {
            self.index.tally.sub(entry.bare());
            (look(entry), entry.reply_key().map(Key::owned))
        })?;
        self.forget_reply(reply, at);
        Some(seen)
    }

    fn remember_reply(&mut self, key: Option<Key>, at: u32) {
        self.by_reply(key, |table, hash| table.insert(hash, at));
    }

    fn forget_reply(&mut self, key: Option<Key>, at: u32) {
        self.by_reply(key, |table, hash| table.remove(hash, at));
    }

    /// Changes the table in which the key of replies is, if there is such a key.
    fn by_reply(&mut self, key: Option<Key>, change: impl FnOnce(&mut Table, u32)) {
        let Some(key) = key else {
            return;
        };
        let hash = self.index.hash(key.by_ref());
        match shard_of(hash) {
            own if own == shard_of(self.hash) => change(&mut self.shard.by_reply, short(hash)),
            other => change(&mut self.index.write(other).by_reply, short(hash)),
        }
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
    fn insert(&mut self, hash: u64, flow: &mut Flow, notes: Notes) -> u32 {
        let slot = self.slab.insert(flow, notes);
        let at = place(shard_of(hash), slot);
        self.by_orig.insert(short(hash), at);
        at
    }
}
