//! The forms of values in text formats such as JSON, and in binary formats.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[macro_use]
mod keyed;
pub(crate) use keyed::is_default;

use super::{Bits, Labels, Masked, Status, TcpFlags, Zone, ZoneDirection};

/// Seconds, with a fraction if there is one. Binary formats have the form of [`Duration`].
struct Seconds(Duration);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (serializer.is_human_readable(), self.0.subsec_nanos()) {
            (false, _) => self.0.serialize(serializer),
            (true, 0) => serializer.serialize_u64(self.0.as_secs()),
            (true, _) => serializer.serialize_f64(self.0.as_secs_f64()),
        }
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Number {
            Whole(u64),
            Fraction(f64),
        }
        if !deserializer.is_human_readable() {
            return Duration::deserialize(deserializer).map(Self);
        }
        match Number::deserialize(deserializer)? {
            Number::Whole(seconds) => Ok(Self(Duration::from_secs(seconds))),
            Number::Fraction(seconds) => Duration::try_from_secs_f64(seconds)
                .map(Self)
                .map_err(D::Error::custom),
        }
    }
}

/// RFC 3339, in UTC, with nanoseconds. Binary formats have the kernel's nanoseconds since 1970.
struct Stamp(SystemTime);

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let since = self.0.duration_since(UNIX_EPOCH).ok();
        let nanos = since
            .and_then(nanoseconds)
            .ok_or_else(|| S::Error::custom("a time before 1970 or after 2554"))?;
        match serializer.is_human_readable() {
            true => serializer.collect_str(&Rfc3339(Duration::from_nanos(nanos))),
            false => nanos.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let since = if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            Rfc3339::read(&text).ok_or_else(|| {
                D::Error::custom(format_args!("{text:?} is not an RFC 3339 time in UTC"))
            })?
        } else {
            Duration::from_nanos(u64::deserialize(deserializer)?)
        };
        Ok(Self(UNIX_EPOCH + since))
    }
}

/// As the kernel counts: nanoseconds since 1970.
fn nanoseconds(since: Duration) -> Option<u64> {
    u64::try_from(since.as_nanos()).ok()
}

/// A time since 1970.
struct Rfc3339(Duration);

/// The number of days in 400 years.
const ERA: u64 = 146_097;

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        // Here, years begin in March, so that a leap day is the last day of the year.
        let days = seconds / 86_400 + 719_468;
        let (era, day) = (days / ERA, days % ERA);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = era * 400 + year + u64::from(month <= 2);
        let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        match self.0.subsec_nanos() {
            0 => f.write_str("Z"),
            nanos => write!(f, ".{nanos:09}Z"),
        }
    }
}

impl Rfc3339 {
    fn read(text: &str) -> Option<Duration> {
        let (date, time) = text.split_once(['T', 't'])?;
        let time = time.strip_suffix(['Z', 'z'])?;
        let (time, fraction) = match time.split_once('.') {
            Some((time, fraction)) => (time, Some(fraction)),
            None => (time, None),
        };
        let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
        let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
        let days_of_month = match month {
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let known = year >= 1970 && (1..=12).contains(&month) && (1..=days_of_month).contains(&day);
        if !(known && hour < 24 && minute < 60 && second < 60) {
            return None;
        }
        let nanos = match fraction {
            None => 0,
            Some(digits) if digits.len() > 9 => return None,
            Some(digits) => decimal(digits)? * 10_u64.pow(9 - digits.len() as u32),
        };
        let from_march = (month + 9) % 12;
        let year = year - u64::from(month <= 2);
        let (era, of_era) = (year / 400, year % 400);
        let day = (153 * from_march + 2) / 5 + day - 1;
        let days = era * ERA + of_era * 365 + of_era / 4 - of_era / 100 + day - 719_468;
        let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
        let since = Duration::from_secs(seconds) + Duration::from_nanos(nanos);
        nanoseconds(since).map(Duration::from_nanos)
    }
}

/// Parses three numbers with a separator, each with this number of digits.
fn numbers(text: &str, mark: char, lengths: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(mark);
    let mut all = [0; 3];
    for (number, length) in all.iter_mut().zip(lengths) {
        let part = parts.next().filter(|part| part.len() == length);
        *number = decimal(part?)?;
    }
    parts.next().is_none().then_some(all)
}

/// Parses a number without a sign.
fn decimal(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

/// `with` for fields of a foreign type.
macro_rules! with {
    ($($module:ident: $ty:ty, $as:ident;)+) => {
        $(pub(crate) mod $module {
            use super::*;

            pub(crate) fn serialize<S: Serializer>(
                value: &Option<$ty>,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                value.map($as).serialize(serializer)
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Option<$ty>, D::Error> {
                let value = Option::<$as>::deserialize(deserializer)?;
                Ok(value.map(|value| value.0))
            }
        })+
    };
}

with! {
    seconds: Duration, Seconds;
    stamp: SystemTime, Stamp;
}

/// Seconds, when they are not optional.
pub(crate) mod length {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(it: &Duration, to: S) -> Result<S::Ok, S::Error> {
        Seconds(*it).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Seconds::deserialize(from).map(|seconds| seconds.0)
    }
}

/// A time, when it is not optional.
pub(crate) mod start {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(it: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        Stamp(*it).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        Stamp::deserialize(from).map(|stamp| stamp.0)
    }
}

/// A list of names. Bits without a name become one number (`"0x10000"`).
macro_rules! flags {
    ($($ty:ident: $int:ty),+) => {
        $(
            impl ::serde::Serialize for $ty {
                fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    if !serializer.is_human_readable() {
                        return ::serde::Serialize::serialize(&self.bits(), serializer);
                    }
                    let mut names = self.iter_names();
                    let mut list: Vec<String> = names.by_ref().map(|(name, _)| name.into()).collect();
                    let rest = names.remaining().bits();
                    if rest != 0 {
                        list.push(format!("{rest:#x}"));
                    }
                    ::serde::Serialize::serialize(&list, serializer)
                }
            }

            impl<'de> ::serde::Deserialize<'de> for $ty {
                fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    if !deserializer.is_human_readable() {
                        return <$int as ::serde::Deserialize>::deserialize(deserializer).map(Self::from_bits_retain);
                    }
                    let mut all = Self::empty();
                    for name in <Vec<String> as ::serde::Deserialize>::deserialize(deserializer)? {
                        let bits = match name.strip_prefix("0x") {
                            Some(digits) => <$int>::from_str_radix(digits, 16)
                                .ok()
                                .map(Self::from_bits_retain),
                            None => Self::from_name(&name),
                        };
                        all |= bits.ok_or_else(|| {
                            <D::Error as ::serde::de::Error>::custom(format_args!(
                                concat!("{:?} is not a name of ", stringify!($ty)), name
                            ))
                        })?;
                    }
                    Ok(all)
                }
            }
        )+
    };
}

flags!(Status: u32);

/// A number, because eight names per direction would be most of the text of a flow.
impl Serialize for TcpFlags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.bits().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TcpFlags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u8::deserialize(deserializer).map(Self::from_bits_retain)
    }
}

/// The numbers of the labels that are set.
impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_seq(self.iter()),
            false => u128::from(*self).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return u128::deserialize(deserializer).map(Self::from);
        }
        Vec::<u8>::deserialize(deserializer)?
            .into_iter()
            .try_fold(Self::EMPTY, |all, bit| Ok(all | Self::bit(bit)?))
            .map_err(|error: crate::Error| D::Error::custom(error))
    }
}

/// The id of a zone for both directions. Otherwise the id and the direction.
impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (serializer.is_human_readable(), self.direction()) {
            (true, ZoneDirection::Both) => self.id().serialize(serializer),
            (true, direction) => Directed {
                id: self.id(),
                direction,
            }
            .serialize(serializer),
            (false, direction) => (self.id(), direction).serialize(serializer),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Directed {
    id: u16,
    direction: ZoneDirection,
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Id(u16),
            Directed(Directed),
        }
        let (id, direction) = if deserializer.is_human_readable() {
            match Form::deserialize(deserializer)? {
                Form::Id(id) => (id, ZoneDirection::Both),
                Form::Directed(Directed { id, direction }) => (id, direction),
            }
        } else {
            Deserialize::deserialize(deserializer)?
        };
        Ok(match direction {
            ZoneDirection::Both => Self::new(id),
            ZoneDirection::Orig => Self::orig(id),
            ZoneDirection::Reply => Self::reply(id),
        })
    }
}

/// Only the value if all bits count. Otherwise the value and the mask.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ValueAndMask<T> {
    value: T,
    mask: T,
}

impl<T: Bits + Serialize> Serialize for Masked<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (value, mask) = (self.given(), self.mask());
        match (serializer.is_human_readable(), mask == T::ALL) {
            (true, true) => value.serialize(serializer),
            (true, false) => ValueAndMask { value, mask }.serialize(serializer),
            (false, _) => (value, mask).serialize(serializer),
        }
    }
}

impl<'de, T: Bits + Deserialize<'de>> Deserialize<'de> for Masked<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form<T> {
            Masked(ValueAndMask<T>),
            Whole(T),
        }
        let (value, mask) = if deserializer.is_human_readable() {
            match Form::deserialize(deserializer)? {
                Form::Masked(ValueAndMask { value, mask }) => (value, mask),
                Form::Whole(value) => (value, T::ALL),
            }
        } else {
            Deserialize::deserialize(deserializer)?
        };
        Ok(Self::new(value, mask))
    }
}
