//! Ranges of ports.

use std::fmt;
use std::ops::{Range, RangeFrom, RangeInclusive, RangeTo, RangeToInclusive};
use std::str::FromStr;

use crate::error::{Error, Result};

/// A range of ports, inclusive. It converts from a port (`443`) or a range (`8000..=8999`,
/// `1024..`, `..1024`).
///
/// Its text is `443`, `8000-8999`, `1024-` or `-1023`. An empty range converts, but
/// [`build`](crate::FilterBuilder::build) refuses it.
///
/// ```
/// # use ctnetlink::Ports;
/// assert_eq!(Ports::from(1024..), "1024-65535".parse()?);
/// assert_eq!(Ports::from(..1024).to_string(), "0-1023");
/// assert!("9-1".parse::<Ports>().is_err());
/// # Ok::<(), ctnetlink::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ports {
    first: u16,
    last: u16,
}

impl Ports {
    /// No port.
    const NONE: Self = Self { first: 1, last: 0 };

    /// The lowest port.
    pub fn first(&self) -> u16 {
        self.first
    }

    /// The highest port.
    pub fn last(&self) -> u16 {
        self.last
    }

    /// Returns `true` if the port is in the range.
    pub fn contains(&self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// Returns `true` if the range is empty.
    pub fn is_empty(&self) -> bool {
        self.first > self.last
    }

    /// The port, if there is only one.
    pub(super) fn single(&self) -> Option<u16> {
        (self.first == self.last).then_some(self.first)
    }

    /// The ports in both ranges.
    pub(super) fn common(&self, other: &Self) -> Self {
        Self {
            first: self.first.max(other.first),
            last: self.last.min(other.last),
        }
    }
}

impl From<u16> for Ports {
    fn from(port: u16) -> Self {
        Self::from(port..=port)
    }
}

impl From<RangeInclusive<u16>> for Ports {
    fn from(ports: RangeInclusive<u16>) -> Self {
        let (first, last) = ports.into_inner();
        Self { first, last }
    }
}

impl From<Range<u16>> for Ports {
    fn from(ports: Range<u16>) -> Self {
        match ports.end.checked_sub(1) {
            Some(last) => Self::from(ports.start..=last),
            None => Self::NONE,
        }
    }
}

impl From<RangeFrom<u16>> for Ports {
    fn from(ports: RangeFrom<u16>) -> Self {
        Self::from(ports.start..=u16::MAX)
    }
}

impl From<RangeTo<u16>> for Ports {
    fn from(ports: RangeTo<u16>) -> Self {
        Self::from(0..ports.end)
    }
}

impl From<RangeToInclusive<u16>> for Ports {
    fn from(ports: RangeToInclusive<u16>) -> Self {
        Self::from(0..=ports.end)
    }
}

/// Writes `443` or `8000-8999`.
impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.single() {
            Some(port) => write!(f, "{port}"),
            None => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

/// Reads `443`, `8000-8999`, `1024-` or `-1023`. An empty range is refused.
impl FromStr for Ports {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text)
            .filter(|ports| !ports.is_empty())
            .ok_or_else(|| {
                Error::invalid_input(format!("ports: {text:?} is not a port or a range of ports"))
            })
    }
}

fn parse(text: &str) -> Option<Ports> {
    let Some((first, last)) = text.split_once('-') else {
        return Some(Ports::from(text.parse::<u16>().ok()?));
    };
    if (first, last) == ("", "") {
        return None;
    }
    let end = |text: &str, open| match text {
        "" => Some(open),
        text => text.parse().ok(),
    };
    Some(Ports::from(end(first, 0)?..=end(last, u16::MAX)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_each_kind() {
        for (ports, first, last) in [
            (Ports::from(443), 443, 443),
            (Ports::from(1..=9), 1, 9),
            (Ports::from(1..9), 1, 8),
            (Ports::from(1024..), 1024, u16::MAX),
            (Ports::from(..1024), 0, 1023),
            (Ports::from(..=1024), 0, 1024),
        ] {
            assert_eq!((ports.first(), ports.last()), (first, last));
            assert_eq!(ports.to_string().parse::<Ports>().unwrap(), ports);
        }
        let nine = std::hint::black_box(9);
        for ports in [
            Ports::from(nine..=1),
            Ports::from(nine..9),
            Ports::from(..0),
        ] {
            assert!(ports.is_empty(), "{ports:?}");
        }
    }

    #[test]
    fn text() {
        for (text, ports) in [
            ("0", Ports::from(0)),
            ("443", Ports::from(443)),
            ("8000-8999", Ports::from(8000..=8999)),
            ("1024-", Ports::from(1024..)),
            ("-1023", Ports::from(..1024)),
            ("7-7", Ports::from(7)),
        ] {
            assert_eq!(text.parse::<Ports>().unwrap(), ports, "{text}");
        }
        for text in ["", "-", "9-1", "65536", "1-65536", "1--2", "http", "1-2-3"] {
            let error = text.parse::<Ports>().unwrap_err();
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn an_empty_range_is_not_read() {
        let read = |text| serde_json::from_str::<Ports>(text);
        assert_eq!(read(r#""1-9""#).unwrap(), Ports::from(1..=9));
        assert_eq!(read("443").unwrap(), Ports::from(443));
        assert_eq!(serde_json::to_string(&Ports::from(443)).unwrap(), "443");
        for text in [r#""9-1""#, "65536", r#""http""#, "[1,9]"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(serde_json::to_string(&Ports::NONE).is_err());
        assert!(postcard::from_bytes::<Ports>(&[9, 1]).is_err());
    }
}
