//! The key of an expectation.

use super::{Expectation, ExpectationId, NewExpectation};
use crate::flow::Tuple;
use crate::wire::attr::Writer;
use crate::wire::table::Context;

/// Names one expectation: its tuple, the zone of its master, and its id if that is known.
///
/// It can be made from an [`&Expectation`](Expectation), from a [`Tuple`] (zone 0), or from a
/// [`&NewExpectation`](NewExpectation). The tuple must be equal to
/// [`Expectation::tuple`](field@Expectation::tuple). The kernel's lookup would also find an
/// expectation whose [mask](field@Expectation::mask) matches the tuple. This crate does not treat
/// that as the named expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExpectationKey {
    tuple: Tuple,
    zone: u16,
    id: Option<ExpectationId>,
}

#[cfg(feature = "serde")]
keyed! {
    ExpectationKey;
    [tuple: Tuple,]
    [zone: u16, id: Option<ExpectationId>,]
}

impl ExpectationKey {
    /// The expectation with this tuple, whose master is in zone 0.
    pub fn new(tuple: Tuple) -> Self {
        Self {
            tuple,
            zone: 0,
            id: None,
        }
    }

    /// Sets the zone of the master. The kernel does not report the zone in a list: see
    /// [`Expectation::zone`](field@Expectation::zone).
    #[must_use]
    pub fn zone(mut self, zone: u16) -> Self {
        self.zone = zone;
        self
    }

    /// Names only the expectation with this id, and no successor with the same tuple.
    #[must_use]
    pub fn id(mut self, id: ExpectationId) -> Self {
        self.id = Some(id);
        self
    }

    /// The tuple that names the expectation.
    pub fn tuple(&self) -> &Tuple {
        &self.tuple
    }

    /// The zone of the master.
    pub fn get_zone(&self) -> u16 {
        self.zone
    }

    /// The id, if it is known.
    pub fn get_id(&self) -> Option<ExpectationId> {
        self.id
    }

    /// Does this key name the expectation?
    pub(crate) fn names(&self, expectation: &Expectation) -> bool {
        expectation.tuple == self.tuple && (self.id.is_none() || self.id == expectation.id)
    }

    pub(crate) fn has_id(&self) -> bool {
        self.id.is_some()
    }

    pub(crate) fn with_id_of(self, expectation: &Expectation) -> Self {
        Self {
            id: expectation.id,
            ..self
        }
    }

    pub(crate) fn without_id(self) -> Self {
        Self { id: None, ..self }
    }

    /// Adds the zone, which the kernel does not report, to the expectation that was found.
    pub(crate) fn in_zone(&self, mut found: Expectation) -> Expectation {
        found.zone = Some(self.zone);
        found
    }

    /// Writes tuple, zone and id.
    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        Expectation::tuple.put(&self.tuple, &Context::default(), w);
        put_zone(self.zone, w);
        Expectation::id.put_some(self.id.as_ref(), w);
    }
}

/// Zone 0 is never sent.
pub(super) fn put_zone(zone: u16, w: &mut Writer<'_>) {
    Expectation::zone.put_some(Some(&zone).filter(|zone| **zone != 0), w);
}

impl From<&Expectation> for ExpectationKey {
    fn from(expectation: &Expectation) -> Self {
        Self {
            tuple: expectation.tuple,
            zone: expectation.zone.unwrap_or_default(),
            id: expectation.id,
        }
    }
}

impl From<&NewExpectation> for ExpectationKey {
    /// The key of the expectation, once it is created.
    fn from(expectation: &NewExpectation) -> Self {
        expectation.key()
    }
}

impl From<Tuple> for ExpectationKey {
    fn from(tuple: Tuple) -> Self {
        Self::new(tuple)
    }
}

impl From<&Tuple> for ExpectationKey {
    fn from(tuple: &Tuple) -> Self {
        Self::new(*tuple)
    }
}

impl From<&Self> for ExpectationKey {
    fn from(key: &Self) -> Self {
        *key
    }
}
