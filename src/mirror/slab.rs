//! Storage for entries, which never move while they are stored.

use std::collections::BTreeSet;

use super::entry::{Entry, Notes};
use crate::flow::Flow;

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
    slots: Vec<Option<Entry>>,
    /// The slots that entries have left.
    free: Vec<u8>,
}

impl Slab {
    pub(super) fn get(&self, slot: usize) -> Option<&Entry> {
        let (chunk, at) = place(slot);
        self.chunks.get(chunk)?.slots.get(at)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut Entry> {
        let (chunk, at) = place(slot);
        self.chunks.get_mut(chunk)?.slots.get_mut(at)?.as_mut()
    }

    #[inline]
    pub(super) fn insert(&mut self, flow: &mut Flow, notes: Notes) -> usize {
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
        let at = chunk.insert(flow, notes);
        if chunk.used() == CHUNK {
            self.open.remove(&number);
        }
        number as usize * CHUNK + usize::from(at)
    }

    /// Calls `look` with the entry, and removes it: an entry is too large to be moved around.
    pub(super) fn remove<T>(&mut self, slot: usize, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        let (number, at) = place(slot);
        let chunk = self.chunks.get_mut(number)?;
        let seen = chunk.remove(at, look)?;
        if chunk.used() == 0 {
            *chunk = Chunk::default();
        }
        if chunk.used() + 1 == CHUNK {
            self.open.insert(number as u32);
        }
        Some(seen)
    }

    /// The number of chunks, including the empty ones.
    pub(super) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        let slots = self.chunks.iter_mut().flat_map(|chunk| &mut chunk.slots);
        slots.flatten()
    }

    pub(super) fn chunk(&self, chunk: usize) -> Option<impl Iterator<Item = &Entry>> {
        let slots = self.chunks.get(chunk)?.slots.iter();
        Some(slots.flatten())
    }
}

impl Chunk {
    fn used(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    #[inline]
    fn insert(&mut self, flow: &mut Flow, notes: Notes) -> u8 {
        // In each case, the entry is built where it is.
        if let Some(at) = self.free.pop() {
            self.slots[usize::from(at)] = Some(Entry::of(flow, notes));
            return at;
        }
        if self.slots.is_empty() {
            self.slots.reserve_exact(CHUNK);
        }
        self.slots.push(Some(Entry::of(flow, notes)));
        (self.slots.len() - 1) as u8
    }

    fn remove<T>(&mut self, at: usize, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        let place = self.slots.get_mut(at)?;
        let seen = look(place.as_ref()?);
        *place = None;
        self.free.push(at as u8);
        Some(seen)
    }
}

fn place(slot: usize) -> (usize, usize) {
    (slot / CHUNK, slot % CHUNK)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::flow::{Flow, Tuple};
    use crate::mirror::entry::{Interner, Notes};

    impl Slab {
        /// The number of slots that have memory.
        fn places(&self) -> usize {
            self.chunks.iter().map(|chunk| chunk.slots.capacity()).sum()
        }

        fn fill(&mut self, numbers: std::ops::Range<u32>) -> Vec<usize> {
            numbers.map(|n| self.add(n)).collect()
        }

        fn add(&mut self, n: u32) -> usize {
            let src = SocketAddr::new(Ipv4Addr::from(n).into(), 1);
            let dst = SocketAddr::new([192, 0, 2, 1].into(), 2);
            let tuple = Tuple::udp(src, dst).expect("one family");
            let mut flow = Flow::new(tuple, tuple.inverse());
            let notes = Notes::of(&mut flow, &mut Interner::default(), 0);
            self.insert(&mut flow, notes)
        }
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
        let (stay, go): (Vec<usize>, _) = slots.iter().partition(|slot| *slot % CHUNK == 7);
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
