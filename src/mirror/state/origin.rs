//! Where a version of a flow comes from.

/// What a version of a flow was made of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin {
    /// An event, which may leave parts out.
    Event { is_lacking: bool },
    /// A list, which is newer than the answers to lookups that began before it.
    List,
    /// A list and the version that is known, which had an event since the list began. The list may
    /// be older than the event that left a field out.
    Both {
        /// The round of the version that is known.
        touched: u32,
        is_lacking: bool,
        is_by_events: bool,
    },
    /// The answer to a lookup. A list in progress may have an older version of the flow.
    Lookup,
}

impl Origin {
    /// Is some part unknown that a lookup would find out?
    pub(super) fn is_lacking(self) -> bool {
        match self {
            Self::Event { is_lacking } | Self::Both { is_lacking, .. } => is_lacking,
            Self::List | Self::Lookup => false,
        }
    }

    /// Is the flow known by events alone?
    pub(super) fn is_by_events(self) -> bool {
        match self {
            Self::Event { .. } => true,
            Self::Both { is_by_events, .. } => is_by_events,
            Self::List | Self::Lookup => false,
        }
    }
}
