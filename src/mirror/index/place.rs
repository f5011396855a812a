//! Where flows are stored, and the tables of their places.

use hashbrown::HashTable;

const SHARD_BITS: u32 = 4;
pub(super) const SHARDS: usize = 1 << SHARD_BITS;
pub(super) const SLOT_BITS: u32 = u32::BITS - SHARD_BITS;
pub(super) const SLOT: u32 = (1 << SLOT_BITS) - 1;

/// The place of a flow, with the hash of its tuple. The hash is compared first, so that usually
/// only the right flow is read from memory, and a table can grow without reading flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) hash: u32,
    /// Shard and slot.
    pub(super) at: u32,
}

pub(super) fn remember(table: &mut HashTable<Place>, hash: u64, at: u32) {
    let place = Place {
        hash: short(hash),
        at,
    };
    table.insert_unique(table_hash(hash), place, Place::table_hash);
}

/// Removes a place, and frees memory when most of the table is unused.
pub(super) fn forget(table: &mut HashTable<Place>, hash: u64, at: u32) {
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

pub(super) fn shard_of(hash: u64) -> usize {
    hash as usize % SHARDS
}

pub(super) fn shard_at(at: u32) -> usize {
    (at >> SLOT_BITS) as usize
}

/// The part of a hash that is stored with a place. The lowest bits are left out, because they are
/// the same in the whole shard.
pub(super) fn short(hash: u64) -> u32 {
    (hash >> SHARD_BITS) as u32
}

/// The hash for the tables of a shard. It is computed from the stored part, so that a table can
/// grow.
pub(super) fn table_hash(hash: u64) -> u64 {
    spread(short(hash))
}

/// Mixes all bits, because a table uses bits from both ends.
fn spread(short: u32) -> u64 {
    let hash = u64::from(short).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 32)
}
