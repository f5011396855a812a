//! Serde for filters: the conditions have the names of the builder's methods, and are checked when
//! they are read.
//!
//! In text formats, an absent condition has no key, and an unknown key is refused, because without
//! its condition the filter would match more. Binary formats have no keys, and each condition has
//! its place.

use std::cell::Cell;

use ::serde::de::Error as _;
use ::serde::ser::Error as _;
use ::serde::{Deserialize, Deserializer, Serialize, Serializer};
use ipnet::IpNet;

use super::check::DEPTH;
use super::conditions::Conditions;
use super::{Filter, Ports, PrefixSet};

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

/// In text formats, every key is a condition. `null`, `false` and an empty list are refused,
/// because without the condition the filter would match more.
pub(super) mod asked {
    use super::super::row::Condition;
    use super::*;

    pub(in super::super) fn serialize<T: Serialize, S: Serializer>(
        it: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        it.serialize(to)
    }

    pub(in super::super) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: Condition + Deserialize<'de>,
        D: Deserializer<'de>,
    {
        let is_text = from.is_human_readable();
        let it = T::deserialize(from)?;
        match is_text && !it.is_asked() {
            true => Err(D::Error::custom(
                "null, false or an empty list is not a condition: leave the key out",
            )),
            false => Ok(it),
        }
    }
}

thread_local! {
    /// The depth of nested filters that are being read on this thread.
    static READING: Cell<usize> = const { Cell::new(0) };
}

/// A filter that is being read. It is checked only after its nested filters have been read by
/// recursion, so the recursion needs its own limit.
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
            D::Error::custom(format_args!("filters are nested more than {DEPTH} deep"))
        })?;
        Conditions::deserialize(deserializer)?
            .checked()
            .map_err(D::Error::custom)
    }
}

/// In text formats, one prefix is a string, and several are a list of strings.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Prefixes {
    One(String),
    Many(Vec<String>),
}

/// Refuses a set that a filter would refuse, because it would be a different set when it is read
/// again.
impl Serialize for PrefixSet {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.clone().checked().map_err(S::Error::custom)?;
        let text = |net: IpNet| net.to_string();
        match (to.is_human_readable(), self.single()) {
            (true, Some(net)) => Prefixes::One(text(net)).serialize(to),
            (true, None) => Prefixes::Many(self.iter().map(text).collect()).serialize(to),
            (false, _) => to.collect_seq(self.iter()),
        }
    }
}

impl<'de> Deserialize<'de> for PrefixSet {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if !from.is_human_readable() {
            let nets = Vec::<IpNet>::deserialize(from)?;
            let set: Self = nets.into_iter().collect();
            return set.checked().map_err(D::Error::custom);
        }
        let set = match Prefixes::deserialize(from)? {
            Prefixes::One(one) => one.parse(),
            Prefixes::Many(many) => many.iter().map(|one| one.parse::<Self>()).collect(),
        };
        set.map_err(D::Error::custom)
    }
}

/// In text formats, one port is a number, and a range is the string `1024-65535`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Range {
    One(u16),
    Many(String),
}

/// Refuses an empty range, because it could not be read again.
impl Serialize for Ports {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match (to.is_human_readable(), self.single()) {
            _ if self.is_empty() => Err(S::Error::custom(format_args!("{self} is an empty range"))),
            (true, Some(port)) => Range::One(port).serialize(to),
            (true, None) => Range::Many(self.to_string()).serialize(to),
            (false, _) => (self.first(), self.last()).serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Ports {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if !from.is_human_readable() {
            let (first, last) = Deserialize::deserialize(from)?;
            let ports = Self::from(first..=last);
            return match ports.is_empty() {
                false => Ok(ports),
                true => Err(D::Error::custom("an empty range of ports")),
            };
        }
        match Range::deserialize(from)? {
            Range::One(port) => Ok(port.into()),
            Range::Many(text) => text.parse().map_err(D::Error::custom),
        }
    }
}
