//! Filters as they are serialized: their conditions, checked when they are read.

use std::cell::Cell;

use ::serde::de::Error as _;
use ::serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Filter;
use super::check::DEPTH;
use super::conditions::Conditions;

thread_local! {
    /// How many filters are being read on this thread, one in the other.
    static READING: Cell<usize> = const { Cell::new(0) };
}

/// A filter that is being read. The check of a filter comes when those in it have been read, by
/// recursion: that needs a bound of its own.
struct Reading;

impl Reading {
    fn begin() -> Option<Self> {
        let depth = READING.get();
        (depth < DEPTH).then(|| {
            READING.set(depth + 1);
            Self
        })
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        READING.set(READING.get() - 1);
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let _reading = Reading::begin().ok_or_else(|| {
            D::Error::custom(format_args!("filters in filters, more than {DEPTH} deep"))
        })?;
        Conditions::deserialize(deserializer)?
            .checked()
            .map_err(D::Error::custom)
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
