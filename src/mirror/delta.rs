//! The changes of a mirror.

use crate::flow::Flow;

/// One change of a mirror, or the beginning or end of a sync.
///
/// Every change of the flows in a mirror is a delta: a program that applies all deltas to its own
/// store has the same flows. Counters and timeouts change without an event, and make no delta.
///
/// # A store of one's own
///
/// A store that begins empty with the mirror needs only [`Added`](Self::Added),
/// [`Updated`](Self::Updated) and [`Removed`](Self::Removed). A store with flows of an earlier run
/// marks all of them as old at the first [`SyncStarted`](Self::SyncStarted), unmarks the flows that
/// are added, and removes the flows that are still marked at the first [`Synced`](Self::Synced).
/// Later syncs only report differences, and the store has nothing to remove.
///
/// ```
/// # use std::collections::HashMap;
/// use ctnetlink::{Delta, Flow, Tuple, Zone};
///
/// /// Keeps a store equal to the mirror; `true` marks what is left of an earlier run.
/// fn apply(store: &mut HashMap<(Tuple, Zone), (Flow, bool)>, delta: Delta) {
///     match delta {
///         Delta::Added(flow) => {
///             store.insert((flow.orig, flow.zone), (flow, false));
///         }
///         Delta::Updated { after, .. } => {
///             store.insert((after.orig, after.zone), (after, false));
///         }
///         Delta::Removed { flow, .. } => {
///             store.remove(&(flow.orig, flow.zone));
///         }
///         Delta::Synced { .. } => store.retain(|_, (_, is_old)| !*is_old),
///         _ => {}
///     }
/// }
/// ```
// Both flows are stored inline, because a box would cost an allocation for each update.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delta {
    /// A flow was added to the mirror.
    Added(Flow),
    /// A flow changed.
    Updated {
        /// The flow before the change.
        before: Flow,
        /// The flow after the change.
        after: Flow,
    },
    /// A flow was removed from the mirror.
    Removed {
        /// The flow at its end, as far as it is known.
        flow: Flow,
        /// Why.
        cause: RemovalCause,
    },
    /// The mirror has begun to list the table. It keeps the known flows, and still reports changes.
    ///
    /// If the list fails, or events are lost during it, there is no [`Synced`](Self::Synced), and
    /// another `SyncStarted` follows.
    SyncStarted {
        /// Why.
        cause: SyncCause,
    },
    /// The mirror holds the same flows as the table.
    Synced {
        /// The number of the sync, starting at 1.
        generation: u64,
        /// The number of flows in the mirror.
        flows: usize,
        /// The number of flows that this sync removed because the list did not contain them.
        swept: u64,
    },
}

/// Why a flow was removed from a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RemovalCause {
    /// The kernel reported its end.
    Destroyed {
        /// The netlink port id of the program that deleted it; `None` if a packet or a timeout
        /// ended it.
        port_id: Option<u32>,
    },
    /// A list did not contain it any more. The event of its end was lost, or there was none.
    Swept,
    /// A lookup did not find it any more. The event of its end was lost, or there was none.
    Gone,
    /// A flow with another id has its tuple. The event of its end was lost.
    Replaced,
    /// It no longer matches the mirror's filter.
    Unmatched,
}

/// Why a mirror lists the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SyncCause {
    /// It is the first list.
    Start,
    /// Events were lost.
    Lost {
        /// The number of lost events since the mirror was last in sync; 0 if the kernel did not
        /// count them.
        events: u64,
    },
    /// The last list failed, or was not complete.
    Failed,
    /// There is room again below the [`limit`](crate::MirrorBuilder::limit).
    Room,
    /// The kernel reports more about flows than before, which events leave out: timestamps were
    /// switched on, or the first connection went through SYNPROXY. In a mirror of up to 1024
    /// flows, they are looked up instead.
    More,
}
