//! Is the mirror whole?

use std::time::{Duration, Instant};

/// Whether a mirror is known to hold what the table does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MirrorState {
    /// It has yet to list the table for the first time.
    Syncing,
    /// It listed the table, and has lost nothing since.
    Synced {
        /// The number of the sync, from 1 on.
        generation: u64,
        /// When it was done.
        since: Instant,
    },
    /// It was in sync once. It has lost events since, or left flows out for want of
    /// room, and lists the table again as soon as that helps; or it was dropped.
    Stale {
        /// When that began.
        since: Instant,
        /// How many events are known to be lost since it was in sync.
        lost: u64,
    },
}

/// The same, in times of the mirror's clock.
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

    /// After so many more events were lost.
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
