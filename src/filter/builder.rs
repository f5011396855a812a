//! The builder of a filter.

use super::conditions::Conditions;
use super::meet::Meet;
use super::{Filter, NatKind};
use crate::error::{Error, Result};
use crate::flow::{Labels, Masked, Status};

/// Builds a [`Filter`]: see [`Filter::builder`].
///
/// Each method adds a condition; a flow has to meet all of them. Two conditions of the same kind
/// become one that requires both. [`build`](Self::build) fails if conditions exclude each other. To
/// add conditions to a filter, use [`Filter::to_builder`].
#[derive(Debug, Clone, Default)]
#[must_use = "a builder has no effect before `build`"]
pub struct FilterBuilder {
    conditions: Conditions,
    /// The first contradiction that was found.
    refusal: Option<String>,
}

impl FilterBuilder {
    /// All of these labels are set; others may be set too.
    pub fn has_labels(self, labels: Labels) -> Self {
        self.narrow(
            "has_labels",
            |all| &mut all.labels,
            Masked::new(labels, labels),
        )
    }

    /// None of these labels is set.
    pub fn lacks_labels(self, labels: Labels) -> Self {
        let none = Masked::new(Labels::EMPTY, labels);
        self.narrow("lacks_labels", |all| &mut all.labels, none)
    }

    /// All of these status bits are set; others may be set too, `-u`.
    pub fn has_status(self, status: Status) -> Self {
        self.narrow(
            "has_status",
            |all| &mut all.status,
            Masked::new(status, status),
        )
    }

    /// None of these status bits is set.
    pub fn lacks_status(self, status: Status) -> Self {
        let none = Masked::new(Status::empty(), status);
        self.narrow("lacks_status", |all| &mut all.status, none)
    }

    /// These ends are translated, `--src-nat`, `--dst-nat`, `--any-nat`.
    pub fn nat(mut self, kind: NatKind) -> Self {
        match kind.status() {
            Some(status) => self.narrow("nat", |all| &mut all.status, status),
            None => {
                self.conditions.any_nat = true;
                self
            }
        }
    }

    /// A helper reads the flow's payload.
    pub fn has_helper(mut self) -> Self {
        self.conditions.has_helper = true;
        self
    }

    /// The flow has a master: another flow expected it.
    pub fn has_master(mut self) -> Self {
        self.conditions.has_master = true;
        self
    }

    /// At least one of these filters matches. The kernel compares it only for events
    /// ([`KernelFilter::ANY_OF`](crate::KernelFilter::ANY_OF)).
    pub fn any_of(mut self, filters: impl IntoIterator<Item = Filter>) -> Self {
        self.conditions.any_of.push(filters.into_iter().collect());
        self
    }

    /// This filter does not match. The kernel compares it only for events
    /// ([`KernelFilter::NOT`](crate::KernelFilter::NOT)).
    pub fn not(mut self, filter: Filter) -> Self {
        self.conditions.not.push(filter);
        self
    }

    /// The filter.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput)
    ///
    /// - if no flow can meet all conditions: two families, two protocols, disjoint prefixes or ranges, a
    ///   value with bits outside its mask, …;
    /// - if a condition is empty or ambiguous: a mask without bits, an empty range or set of
    ///   addresses, a prefix with host bits (`10.0.0.7/24`), ports without a protocol that has
    ///   ports, ICMP fields with another protocol, an empty list in `any_of`, or a filter without
    ///   conditions in `any_of` or `not`;
    /// - if filters are nested more than 32 deep.
    ///
    /// ```
    /// # use ctnetlink::{ErrorKind, Filter};
    /// let refused = Filter::builder().protocol(1).orig_dst_port(443).build();
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    /// ```
    pub fn build(self) -> Result<Filter> {
        match self.refusal {
            Some(refusal) => Err(Error::invalid_input(refusal)),
            None => self.conditions.checked(),
        }
    }

    pub(super) fn narrow<T: Meet>(
        mut self,
        name: &'static str,
        slot: fn(&mut Conditions) -> &mut Option<T>,
        new: T,
    ) -> Self {
        match narrowed(slot(&mut self.conditions), new) {
            Ok(()) => {}
            Err(why) => _ = self.refusal.get_or_insert_with(|| format!("{name}: {why}")),
        }
        self
    }
}

/// Keeps what both the slot and the new condition allow.
fn narrowed<T: Meet>(slot: &mut Option<T>, new: T) -> std::result::Result<(), String> {
    if let Some(refusal) = new.refusal() {
        return Err(refusal);
    }
    let both = match slot.as_ref() {
        None => new,
        Some(old) => old
            .meet(&new)
            .ok_or_else(|| format!("no flow can meet both {} and {}", old.shown(), new.shown()))?,
    };
    *slot = Some(both);
    Ok(())
}

impl From<Filter> for FilterBuilder {
    /// Starts with the conditions of the filter.
    fn from(filter: Filter) -> Self {
        Self {
            conditions: filter.0,
            refusal: None,
        }
    }
}
