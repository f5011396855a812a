//! Places for entries: they do not move while they are in.

use super::entry::Entry;

/// So many places are taken at once: growth moves nothing, and wastes little.
pub(super) const CHUNK: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Slab {
    chunks: Vec<Vec<Slot>>,
    /// The first of the places that are free again.
    free: Option<u32>,
}

#[derive(Debug)]
// The entries are what there is many of.
#[allow(clippy::large_enum_variant)]
enum Slot {
    Used(Entry),
    /// The next that is free.
    Free(Option<u32>),
}

impl Slab {
    pub(super) fn get(&self, slot: u32) -> Option<&Entry> {
        let (chunk, at) = place(slot);
        match self.chunks.get(chunk)?.get(at)? {
            Slot::Used(entry) => Some(entry),
            Slot::Free(_) => None,
        }
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        let (chunk, at) = place(slot);
        match self.chunks.get_mut(chunk)?.get_mut(at)? {
            Slot::Used(entry) => Some(entry),
            Slot::Free(_) => None,
        }
    }

    pub(super) fn insert(&mut self, entry: Entry) -> u32 {
        if let Some(slot) = self.free {
            let (chunk, at) = place(slot);
            let place = &mut self.chunks[chunk][at];
            if let Slot::Free(next) = place {
                self.free = *next;
            }
            *place = Slot::Used(entry);
            return slot;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let chunk = self.chunks.len() - 1;
        self.chunks[chunk].push(Slot::Used(entry));
        (chunk * CHUNK + self.chunks[chunk].len() - 1) as u32
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Entry> {
        let (chunk, at) = place(slot);
        let place = self.chunks.get_mut(chunk)?.get_mut(at)?;
        match std::mem::replace(place, Slot::Free(self.free)) {
            Slot::Used(entry) => {
                self.free = Some(slot);
                Some(entry)
            }
            free => {
                *place = free;
                None
            }
        }
    }

    pub(super) fn chunk(&self, chunk: usize) -> Option<impl Iterator<Item = &Entry>> {
        let slots = self.chunks.get(chunk)?.iter();
        Some(slots.filter_map(|slot| match slot {
            Slot::Used(entry) => Some(entry),
            Slot::Free(_) => None,
        }))
    }
}

fn place(slot: u32) -> (usize, usize) {
    (slot as usize / CHUNK, slot as usize % CHUNK)
}
