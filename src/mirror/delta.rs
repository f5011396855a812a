//! What a mirror says of its changes.

use crate::flow::Flow;

/// One change of a mirror, or the beginning or end of a sync.
///
/// All changes of the flows that a mirror holds are told: who applies each delta to a store of its
/// own has the same flows. The times that change without an event, counters and
/// timeouts, make no delta.
///
/// # A store of one's own
///
/// A store that begins empty with the mirror needs nothing but [`Added`](Self::Added),
/// [`Updated`](Self::Updated) and [`Removed`](Self::Removed). One that holds flows of an earlier run
/// marks them all as old at the first [`SyncStarted`](Self::SyncStarted), unmarks those that are
/// added, and sweeps those that are still marked at the first [`Synced`](Self::Synced). Later syncs
/// tell of differences alone: nothing is to be swept there.
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
// Both flows in place: a box for one of them would cost each update an allocation.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delta {
    /// A flow came into the mirror.
    Added(Flow),
    /// A flow changed.
    Updated {
        /// As it was.
        before: Flow,
        /// As it is.
        after: Flow,
    },
    /// A flow left the mirror.
    Removed {
        /// As it was at its end, as far as that is known.
        flow: Flow,
        /// Why.
        cause: RemovalCause,
    },
    /// The table is being listed. The flows that are known stay, and changes are told meanwhile.
    ///
    /// One that fails, or during which events are lost, has no [`Synced`](Self::Synced): another
    /// `SyncStarted` follows.
    SyncStarted {
        /// Why.
        cause: SyncCause,
    },
    /// The mirror holds what the table does.
    Synced {
        /// The number of the sync, from 1 on.
        generation: u64,
        /// How many flows it holds.
        flows: usize,
        /// How many flows this sync removed, since the list no longer had them.
        swept: u64,
    },
}

/// Why a flow left a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RemovalCause {
    /// The kernel said so.
    Destroyed {
        /// The netlink port id of the program whose request it was; `None` for packets and
        /// timeouts.
        port_id: Option<u32>,
    },
    /// A list no longer had it: the event of its end was lost, or there was none.
    Swept,
    /// It was asked for, and was not there: the event of its end was lost, or there was none.
    Gone,
    /// A flow with another id has its tuple: the event of its end was lost.
    Replaced,
    /// It no longer meets the mirror's filter.
    Unmatched,
}

/// Why a mirror lists the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SyncCause {
    /// It begins.
    Start,
    /// Events were lost.
    Lost {
        /// How many since the mirror was last in sync; 0 where the kernel did not count them.
        events: u64,
    },
    /// The last list failed, or was not whole.
    Failed,
    /// There is room again below the [`limit`](crate::MirrorBuilder::limit).
    Room,
}
