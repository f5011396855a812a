//! Where flows are stored: a shard, and a slot of it.

const SHARD_BITS: u32 = 4;
pub(super) const SHARDS: usize = 1 << SHARD_BITS;
const SLOT_BITS: u32 = u32::BITS - SHARD_BITS;

/// The place of a slot, as one number.
pub(super) fn place(shard: usize, slot: usize) -> u32 {
    ((shard as u32) << SLOT_BITS) | slot as u32
}

pub(super) fn shard_at(place: u32) -> usize {
    (place >> SLOT_BITS) as usize
}

pub(super) fn slot(place: u32) -> usize {
    (place & ((1 << SLOT_BITS) - 1)) as usize
}

pub(super) fn shard_of(hash: u64) -> usize {
    hash as usize % SHARDS
}

/// The part of a hash that is stored with a place. The lowest bits are left out, because they are
/// the same in the whole shard.
pub(super) fn short(hash: u64) -> u32 {
    (hash >> (u64::BITS - u32::BITS)) as u32
}
