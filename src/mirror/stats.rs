//! What a mirror has been through.

/// What happened to a [`Mirror`](crate::Mirror) so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct MirrorStats {
    /// Events of flows, and gaps, that came.
    pub events: u64,
    /// Of them, beginnings of flows.
    pub new: u64,
    /// Of them, changes of flows.
    pub updates: u64,
    /// Of them, ends of flows.
    pub destroys: u64,
    /// Events that are known to be lost.
    pub lost: u64,
    /// How many gaps there were.
    pub overruns: u64,
    /// Lists of the table that were begun; the first is one of them.
    pub syncs: u64,
    /// Lists that failed, or were not whole.
    pub sync_failures: u64,
    /// Losses that nobody told of, found by what came later: a flow with another id than the one
    /// that was known, an update of a flow that was not known, a flow that was asked for and not
    /// there.
    pub unreported: u64,
    /// Flows that were removed because a list no longer had them.
    pub swept: u64,
    /// Flows that were asked for one by one: those whose time had passed, and those of which an
    /// event had left something in doubt.
    pub asked: u64,
    /// Times that a flow was left out for want of room: see
    /// [`limit`](crate::MirrorBuilder::limit).
    pub left_out: u64,
    /// Events and listed flows that did not decode.
    pub decode_errors: u64,
}
