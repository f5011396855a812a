//! Data that the rows of a message share.

/// The direction of a flow that a row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Orig,
    Reply,
}

/// What the rows of a message must know of each other: the zones. A zone for both directions is at
/// the top level, and a zone for one direction is inside the tuple of that direction.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) zone: Option<u16>,
    pub(crate) zone_orig: Option<u16>,
    pub(crate) zone_reply: Option<u16>,
    /// The direction of the current row, if it has one.
    pub(crate) direction: Option<Way>,
}

impl Context {
    /// The zone inside the tuple of the current row.
    #[inline]
    pub(crate) fn zone_of_direction(&mut self) -> Option<&mut Option<u16>> {
        match self.direction? {
            Way::Orig => Some(&mut self.zone_orig),
            Way::Reply => Some(&mut self.zone_reply),
        }
    }

    /// The context for a row of this direction.
    #[inline]
    pub(crate) fn of(&self, direction: Option<Way>) -> Self {
        Self { direction, ..*self }
    }
}
