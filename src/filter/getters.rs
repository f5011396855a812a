//! Getters for conditions that have no row of their own.

use super::{Filter, FilterBuilder};

impl Filter {
    /// Returns `true` if the source or the destination must be translated. See
    /// [`FilterBuilder::nat`] with [`NatKind::Any`](crate::NatKind::Any).
    pub fn any_nat(&self) -> bool {
        self.0.any_nat
    }

    /// Returns `true` if the flow must have a helper, with any name. See
    /// [`FilterBuilder::has_helper`].
    pub fn has_helper(&self) -> bool {
        self.0.has_helper
    }

    /// Returns `true` if the flow must have a master. See [`FilterBuilder::has_master`].
    pub fn has_master(&self) -> bool {
        self.0.has_master
    }

    /// The lists of filters. Of each list, at least one must match: see [`FilterBuilder::any_of`].
    pub fn any_of(&self) -> impl Iterator<Item = &[Filter]> {
        self.0.any_of.iter().map(Vec::as_slice)
    }

    /// The filters that must not match: see [`FilterBuilder::not`].
    pub fn not(&self) -> &[Filter] {
        &self.0.not
    }

    /// Returns a builder with these conditions, to add more.
    ///
    /// ```
    /// # use ctnetlink::{Filter, Protocol, Status};
    /// let tcp = Filter::builder().protocol(Protocol::TCP).build()?;
    /// let unanswered = tcp.to_builder().lacks_status(Status::SEEN_REPLY).build()?;
    /// assert_eq!(unanswered.protocol(), Some(Protocol::TCP));
    /// # Ok::<(), ctnetlink::Error>(())
    /// ```
    pub fn to_builder(&self) -> FilterBuilder {
        self.clone().into()
    }
}
