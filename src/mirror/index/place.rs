//! Where flows are stored.

const SHARD_BITS: u32 = 4;
pub(super) const SHARDS: usize = 1 << SHARD_BITS;
pub(super) const SLOT_BITS: u32 = u32::BITS - SHARD_BITS;
pub(super) const SLOT: u32 = (1 << SLOT_BITS) - 1;

pub(super) fn shard_of(hash: u64) -> usize {
    hash as usize % SHARDS
}

pub(super) fn shard_at(at: u32) -> usize {
    (at >> SLOT_BITS) as usize
}

/// The part of a hash that is stored with a place. The lowest bits are left out, because they are
/// the same in the whole shard.
pub(super) fn short(hash: u64) -> u32 {
    (hash >> (u64::BITS - u32::BITS)) as u32
}
