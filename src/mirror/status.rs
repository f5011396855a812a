//! Is the mirror complete?

use std::time::{Duration, Instant};

/// Whether a mirror is known to hold the same flows as the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MirrorState {
    /// It has not completed its first list yet.
    Syncing,
    /// It has listed the table, and no event was lost since then.
    Synced {
        /// The number of the sync, starting at 1.
        generation: u64,
        /// When the sync was completed.
        since: Instant,
    },
    /// It was in sync before. Since then it has lost events, or left flows out because it was full,
    /// or found that the kernel reports more about its flows ([`SyncCause::More`]), and it will list
    /// the table again as soon as that helps. Or it was dropped.
    ///
    /// [`SyncCause::More`]: crate::SyncCause::More
    Stale {
        /// When it became stale.
        since: Instant,
        /// The number of events that are known to be lost since it was in sync.
        lost: u64,
    },
}

/// The same as [`MirrorState`], with times of the mirror's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Syncing,
    Synced { generation: u64, since: Duration },
    Stale { since: Duration, lost: u64 },
}

impl Status {
    pub(super) fn is_synced(self) -> bool {
        matches!(self, Self::Synced { .. })
    }

    /// The status after more events were lost.
    pub(super) fn with_lost(self, more: u64, now: Duration) -> Self {
        match self {
            Self::Syncing => Self::Syncing,
            Self::Synced { .. } => Self::Stale {
                since: now,
                lost: more,
            },
            Self::Stale { since, lost } => Self::Stale {
                since,
                lost: lost + more,
            },
        }
    }

    pub(super) fn at(self, epoch: Instant) -> MirrorState {
        match self {
            Self::Syncing => MirrorState::Syncing,
            Self::Synced { generation, since } => MirrorState::Synced {
                generation,
                since: epoch + since,
            },
            Self::Stale { since, lost } => MirrorState::Stale {
                since: epoch + since,
                lost,
            },
        }
    }
}
