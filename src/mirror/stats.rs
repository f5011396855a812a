//! The statistics of a mirror.

/// What has happened to a [`Mirror`](crate::Mirror) so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct MirrorStats {
    /// Events of flows, and gaps, that were received.
    pub events: u64,
    /// How many of the events were new flows.
    pub new: u64,
    /// How many of the events were changes of flows.
    pub updates: u64,
    /// How many of the events were ends of flows.
    pub destroys: u64,
    /// Events that are known to be lost.
    pub lost: u64,
    /// The number of gaps.
    pub overruns: u64,
    /// Lists of the table that were begun, including the first.
    pub syncs: u64,
    /// Lists that failed, or were not complete.
    pub sync_failures: u64,
    /// Losses that the kernel did not report, and that were found later: a flow with another id
    /// than the known one, an update of an unknown flow, or a lookup that did not find the flow.
    pub unreported: u64,
    /// Flows that were removed because a list did not contain them any more.
    pub swept: u64,
    /// Flows that were looked up one by one, because their timeout had passed or an event left
    /// something in doubt.
    pub asked: u64,
    /// How often a flow was left out because the mirror was full: see
    /// [`limit`](crate::MirrorBuilder::limit).
    pub left_out: u64,
    /// Events and listed flows that did not decode.
    pub decode_errors: u64,
}
