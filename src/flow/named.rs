//! Serde for numbers that have names: text formats have the name, or the number if there is no
//! name. Binary formats always have the number. Reading text accepts both.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn serialize<T, S>(
    value: T,
    name: Option<&str>,
    serializer: S,
) -> Result<S::Ok, S::Error>
where
    T: Into<u8>,
    S: Serializer,
{
    match name.filter(|_| serializer.is_human_readable()) {
        Some(name) => serializer.serialize_str(name),
        None => serializer.serialize_u8(value.into()),
    }
}

pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: From<u8> + FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    match deserializer.is_human_readable() {
        true => deserializer.deserialize_any(Named(PhantomData)),
        false => u8::deserialize(deserializer).map(T::from),
    }
}

struct Named<T>(PhantomData<T>);

impl<T: From<u8> + FromStr<Err: Display>> Visitor<'_> for Named<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name, or a number from 0 to 255")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        u8::try_from(number).map(T::from).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        u8::try_from(number).map(T::from).map_err(E::custom)
    }
}

/// Implements `Serialize` and `Deserialize` for such a type.
macro_rules! named {
    ($($ty:ty),+) => {
        $(
            impl serde::Serialize for $ty {
                fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                    $crate::flow::named::serialize(*self, self.as_str(), to)
                }
            }

            impl<'de> serde::Deserialize<'de> for $ty {
                fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                    $crate::flow::named::deserialize(from)
                }
            }
        )+
    };
}

named!(
    super::Protocol,
    super::TcpState,
    super::SctpState,
    super::DccpState
);
