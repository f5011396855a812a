//! Finds places by a hash: a table with open addressing.

/// The place of a flow, with the hash of its tuple. The hash is compared first, so that usually
/// only the right flow is read from memory, and a table can grow without reading flows.
#[derive(Debug, Clone, Copy)]
struct Place {
    hash: u32,
    /// Shard and slot.
    at: u32,
}

/// A slot of the table without a place. Memory is used up before a shard has so many flows.
const FREE: Place = Place {
    hash: 0,
    at: u32::MAX,
};

/// The smallest table with any places.
const FEW: usize = 16;

/// A larger table becomes smaller when at most an eighth of it is in use.
const MANY: usize = 256;

/// The places of flows. Each is in the first slot that was free from its home on, which its hash
/// says. So a lookup usually reads one line of the processor's cache.
///
/// Between half and three quarters of the slots are in use, unless many flows have ended. If one is
/// removed, others move back: there is no free slot between a place and its home.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Box<[Place]>,
    used: usize,
}

impl Table {
    /// Calls `look` with each place that has this hash, until it returns something.
    #[inline]
    pub(super) fn find<T>(&self, hash: u32, mut look: impl FnMut(u32) -> Option<T>) -> Option<T> {
        let mut slot = self.home(hash);
        loop {
            let place = self.slots.get(slot).filter(|place| place.is_used())?;
            if place.hash == hash {
                if let found @ Some(_) = look(place.at) {
                    return found;
                }
            }
            slot = self.after(slot);
        }
    }

    /// Reads the first slot that [`find`](Self::find) looks at. It decides nothing, so the processor
    /// reads many at the same time.
    pub(super) fn warm(&self, hash: u32) -> u32 {
        self.slots.get(self.home(hash)).map_or(0, |place| place.at)
    }

    pub(super) fn insert(&mut self, hash: u32, at: u32) {
        self.used += 1;
        if self.slots.len() * 3 < self.used * 4 {
            self.resize();
        }
        self.put(Place { hash, at });
    }

    pub(super) fn remove(&mut self, hash: u32, at: u32) {
        let Some(mut hole) = self.slot_of(hash, at) else {
            return;
        };
        let mut slot = self.after(hole);
        while self.slots[slot].is_used() {
            let home = self.home(self.slots[slot].hash);
            if self.steps(home, slot) >= self.steps(hole, slot) {
                self.slots[hole] = self.slots[slot];
                hole = slot;
            }
            slot = self.after(slot);
        }
        self.slots[hole] = FREE;
        self.used -= 1;
        if self.slots.len() > MANY.max(8 * self.used) {
            self.resize();
        }
    }

    fn slot_of(&self, hash: u32, at: u32) -> Option<usize> {
        let mut slot = self.home(hash);
        loop {
            let place = self.slots.get(slot).filter(|place| place.is_used())?;
            if place.at == at {
                return Some(slot);
            }
            slot = self.after(slot);
        }
    }

    fn put(&mut self, place: Place) {
        let mut slot = self.home(place.hash);
        while self.slots[slot].is_used() {
            slot = self.after(slot);
        }
        self.slots[slot] = place;
    }

    /// Moves the places to a table of which half is in use.
    #[cold]
    fn resize(&mut self) {
        let slots = vec![FREE; FEW.max(2 * self.used)];
        let old = std::mem::replace(&mut self.slots, slots.into());
        let places = old.iter().filter(|place| place.is_used());
        places.for_each(|place| self.put(*place));
    }

    /// The slot where a place with this hash should be.
    fn home(&self, hash: u32) -> usize {
        // The hash as a fraction of the largest one. So the length can be any number.
        ((u64::from(hash) * self.slots.len() as u64) >> u32::BITS) as usize
    }

    fn after(&self, slot: usize) -> usize {
        match slot + 1 {
            end if end == self.slots.len() => 0,
            next => next,
        }
    }

    /// The number of steps from one slot to a later one.
    fn steps(&self, from: usize, to: usize) -> usize {
        match to.checked_sub(from) {
            Some(steps) => steps,
            None => to + self.slots.len() - from,
        }
    }
}

impl Place {
    fn is_used(&self) -> bool {
        self.at != FREE.at
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Hashes that are alike, at both ends of the table, and spread.
    fn hash() -> impl Strategy<Value = u32> {
        prop_oneof![
            0..4_u32,
            (0..4_u32).prop_map(|n| u32::MAX - n),
            (0..64_u32).prop_map(|n| n << 26),
        ]
    }

    fn found(table: &Table, hash: u32) -> Vec<u32> {
        let mut found = Vec::new();
        table.find(hash, |at| {
            found.push(at);
            None::<()>
        });
        found.sort_unstable();
        found
    }

    proptest! {
        /// Whatever is inserted and removed: what is found is what is there.
        #[test]
        fn it_is_a_set(ops in prop::collection::vec((hash(), 0..100_u32, 0..5), 0..400)) {
            let (mut table, mut model) = (Table::default(), HashMap::new());
            for (hash, at, kind) in ops {
                match model.get(&at) {
                    None if kind < 3 => {
                        table.insert(hash, at);
                        model.insert(at, hash);
                    }
                    // One that is not there changes nothing.
                    None => table.remove(hash, at),
                    Some(hash) => {
                        table.remove(*hash, at);
                        model.remove(&at);
                    }
                }
                prop_assert_eq!(table.used, model.len());
                let of = model.iter().filter(|(_, known)| **known == hash);
                let mut wanted: Vec<_> = of.map(|(at, _)| *at).collect();
                wanted.sort_unstable();
                prop_assert_eq!(found(&table, hash), wanted);
            }
            for (at, hash) in model {
                prop_assert!(found(&table, hash).contains(&at));
            }
        }
    }

    fn spread(n: u32) -> u32 {
        n.wrapping_mul(0x9e37_79b9)
    }

    #[test]
    fn memory_goes_with_the_places() {
        const ALL: u32 = 100_000;
        let mut table = Table::default();
        assert!(found(&table, 7).is_empty());
        for n in 0..ALL {
            table.insert(spread(n), n);
            assert!(table.slots.len() <= FEW.max(2 * (n as usize + 1)), "{n}");
        }
        for n in 0..ALL {
            assert_eq!(found(&table, spread(n)), [n]);
        }
        for n in 0..ALL {
            table.remove(spread(n), n);
            assert!(table.slots.len() <= MANY.max(8 * table.used), "{n}");
        }
        assert_eq!(table.used, 0);
    }
}
