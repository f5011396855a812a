//! Storage for entries, which never move while they are stored.

use std::collections::BTreeSet;

use super::entry::Entry;

/// The number of slots in a chunk. Memory grows by one chunk at a time, so that growth moves
/// nothing and wastes little.
pub(super) const CHUNK: usize = 256;

/// Chunks of slots. The first chunk with room is filled first, so that the last chunks become
/// empty. An empty chunk frees its memory.
#[derive(Debug, Default)]
pub(super) struct Slab {
    chunks: Vec<Chunk>,
    /// The chunks that have room.
    open: BTreeSet<u32>,
}

#[derive(Debug, Default)]
struct Chunk {
    slots: Vec<Slot>,
    used: usize,
    /// The first slot in the list of free slots.
    free: Option<u8>,
}

#[derive(Debug)]
// Nearly all slots hold entries.
#[allow(clippy::large_enum_variant)]
enum Slot {
    Used(Entry),
    /// The next free slot.
    Free(Option<u8>),
}

impl Slab {
    pub(super) fn get(&self, slot: u32) -> Option<&Entry> {
        let (chunk, at) = place(slot);
        match self.chunks.get(chunk)?.slots.get(at)? {
            Slot::Used(entry) => Some(entry),
            Slot::Free(_) => None,
        }
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        let (chunk, at) = place(slot);
        match self.chunks.get_mut(chunk)?.slots.get_mut(at)? {
            Slot::Used(entry) => Some(entry),
            Slot::Free(_) => None,
        }
    }

    #[inline]
    pub(super) fn insert(&mut self, entry: Entry) -> u32 {
        let number = match self.open.first() {
            Some(number) => *number,
            None => {
                self.chunks.push(Chunk::default());
                let number = (self.chunks.len() - 1) as u32;
                self.open.insert(number);
                number
            }
        };
        let chunk = &mut self.chunks[number as usize];
        let at = chunk.insert(entry);
        if chunk.used == CHUNK {
            self.open.remove(&number);
        }
        number * CHUNK as u32 + u32::from(at)
    }

    /// Calls `look` with the entry, and removes it: an entry is too large to be moved around.
    pub(super) fn remove<T>(&mut self, slot: u32, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        let (number, at) = place(slot);
        let chunk = self.chunks.get_mut(number)?;
        let seen = chunk.remove(at, look)?;
        if chunk.used == 0 {
            *chunk = Chunk::default();
        }
        if chunk.used + 1 == CHUNK {
            self.open.insert(number as u32);
        }
        Some(seen)
    }

    pub(super) fn chunk(&self, chunk: usize) -> Option<impl Iterator<Item = &Entry>> {
        let slots = self.chunks.get(chunk)?.slots.iter();
        Some(slots.filter_map(|slot| match slot {
            Slot::Used(entry) => Some(entry),
            Slot::Free(_) => None,
        }))
    }
}

impl Chunk {
    #[inline]
    fn insert(&mut self, entry: Entry) -> u8 {
        self.used += 1;
        if let Some(at) = self.free {
            let place = &mut self.slots[usize::from(at)];
            if let Slot::Free(next) = place {
                self.free = *next;
            }
            *place = Slot::Used(entry);
            return at;
        }
        if self.slots.is_empty() {
            self.slots.reserve_exact(CHUNK);
        }
        self.slots.push(Slot::Used(entry));
        (self.slots.len() - 1) as u8
    }

    fn remove<T>(&mut self, at: usize, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        let place = self.slots.get_mut(at)?;
        let Slot::Used(entry) = place else {
            return None;
        };
        let seen = look(entry);
        *place = Slot::Free(self.free);
        self.free = Some(at as u8);
        self.used -= 1;
        Some(seen)
    }
}

fn place(slot: u32) -> (usize, usize) {
    (slot as usize / CHUNK, slot as usize % CHUNK)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::flow::{Flow, Tuple};
    use crate::mirror::entry::Interner;

    impl Slab {
        /// The number of slots that have memory.
        fn places(&self) -> usize {
            self.chunks.iter().map(|chunk| chunk.slots.capacity()).sum()
        }

        fn fill(&mut self, numbers: std::ops::Range<u32>) -> Vec<u32> {
            numbers.map(|n| self.insert(entry(n))).collect()
        }
    }

    fn entry(n: u32) -> Entry {
        let src = SocketAddr::new(Ipv4Addr::from(n).into(), 1);
        let dst = SocketAddr::new([192, 0, 2, 1].into(), 2);
        let tuple = Tuple::udp(src, dst).expect("one family");
        Entry::new(
            Flow::new(tuple, tuple.inverse()),
            &mut Interner::default(),
            0,
        )
    }

    fn src(entry: &Entry) -> std::net::IpAddr {
        entry.bare().orig.src()
    }

    #[test]
    fn each_place_has_its_own() {
        let mut slab = Slab::default();
        let mut slots = slab.fill(0..1000);
        for slot in slots.iter().step_by(3) {
            assert!(slab.remove(*slot, |_| {}).is_some());
            assert!(slab.remove(*slot, |_| {}).is_none(), "once");
            assert!(slab.get(*slot).is_none());
        }
        let again = slab.fill(1000..1334);
        for (slot, new) in slots.iter_mut().step_by(3).zip(again) {
            *slot = new;
        }
        assert_eq!(slab.places(), 1024, "the places that were free");
        let mut distinct = slots.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 1000);
        for (n, slot) in (0..).zip(slots) {
            let n: u32 = if n % 3 == 0 { 1000 + n / 3 } else { n };
            let found = slab.get(slot).map(src);
            assert_eq!(found, Some(Ipv4Addr::from(n).into()));
        }
    }

    #[test]
    fn memory_goes_with_the_flows() {
        let mut slab = Slab::default();
        let slots = slab.fill(0..100 * CHUNK as u32);
        assert_eq!(slab.places(), 100 * CHUNK);
        slots.iter().for_each(|slot| {
            slab.remove(*slot, |_| {});
        });
        assert_eq!(slab.places(), 0, "all are gone");

        // One entry of each chunk stays. New entries fill the first chunks, so that the last ones
        // become empty.
        let slots = slab.fill(0..100 * CHUNK as u32);
        let (stay, go): (Vec<u32>, _) = slots.iter().partition(|slot| *slot % CHUNK as u32 == 7);
        go.iter().for_each(|slot| {
            slab.remove(*slot, |_| {});
        });
        assert_eq!(slab.places(), 100 * CHUNK);
        slab.fill(0..9 * CHUNK as u32);
        stay.iter().for_each(|slot| {
            slab.remove(*slot, |_| {});
        });
        assert!(slab.places() <= 10 * CHUNK, "{}", slab.places());
    }
}
