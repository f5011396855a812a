//! `FromStr` of the small nouns. It reads what `Display` writes, and what conntrack(8) takes.

use std::net::IpAddr;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::flow::{Family, IcmpEcho, Labels, Protocol, Status, Tuple, Zone};

/// A number in decimal, or in hexadecimal after `0x`.
pub(super) fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    // `from_str_radix` would accept a sign.
    let plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    u32::from_str_radix(digits, radix).ok().filter(|_| plain)
}

/// [`number`] for smaller types.
fn small<N: TryFrom<u32>>(text: &str) -> Option<N> {
    N::try_from(number(text)?).ok()
}

/// `ipv4` or `ipv6`.
impl FromStr for Family {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Ipv4, Self::Ipv6]
            .into_iter()
            .find(|family| family.as_str() == text)
            .ok_or_else(|| {
                Error::invalid_input(format!("{text:?} is not a family: write ipv4 or ipv6"))
            })
    }
}

/// `5` or `zone=5`, `zone-orig=5`, `zone-reply=5`.
impl FromStr for Zone {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, id) = text.split_once('=').unwrap_or(("zone", text));
        let zone = match name {
            "zone" => Self::new,
            "zone-orig" => Self::orig,
            "zone-reply" => Self::reply,
            _ => return Err(no_zone(text)),
        };
        small(id).map(zone).ok_or_else(|| no_zone(text))
    }
}

fn no_zone(text: &str) -> Error {
    Error::invalid_input(format!(
        "{text:?} is not a zone: write 5, zone=5, zone-orig=5 or zone-reply=5"
    ))
}

/// Reads names separated by commas, in upper or lower case, and bits without a name as a number:
/// `SEEN_REPLY,0x10000`. `UNSET` is the empty set.
impl FromStr for Status {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.eq_ignore_ascii_case("UNSET") {
            return Ok(Self::empty());
        }
        text.split(',').try_fold(Self::empty(), |all, word| {
            let bits = Self::from_name(&word.to_ascii_uppercase())
                .or_else(|| number(word).map(Self::from_bits_retain));
            bits.map(|bits| all | bits).ok_or_else(|| {
                Error::invalid_input(format!(
                    "status: {word:?} is not the name of a bit or a number"
                ))
            })
        })
    }
}

/// Reads numbers separated by commas, `3,127`. An empty text is the empty set. A
/// [`LabelMap`](crate::LabelMap) reads names.
impl FromStr for Labels {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let words = text.split(',').filter(|_| !text.is_empty());
        words
            .map(|word| {
                let label = small(word);
                let label = label.ok_or_else(|| {
                    Error::invalid_input(format!("labels: {word:?} is not a label from 0 to 127"))
                })?;
                Self::bit(label)
            })
            .collect()
    }
}

/// Reads the protocol, and then the words of `Display` in any order: `tcp src=10.0.0.1 dst=10.0.0.2
/// sport=4000 dport=443`. A [`FlowKey`](crate::FlowKey)'s text begins so.
///
/// Ports may be left out for protocols that some kernels do not know, as in [`Tuple::generic`].
/// Other words are refused. ICMP over IPv6 and ICMPv6 over IPv4 are accepted: no packet creates
/// such a flow, but a request can.
impl FromStr for Tuple {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut words = text.split_whitespace();
        let protocol: Protocol = words.next().unwrap_or_default().parse()?;
        let mut fields = Fields::default();
        for word in words {
            fields.take(word)?;
        }
        fields.tuple(protocol)
    }
}

/// The words that have been read so far.
#[derive(Default)]
struct Fields {
    src: Option<IpAddr>,
    dst: Option<IpAddr>,
    ports: [Option<u16>; 2],
    keys: [Option<u16>; 2],
    icmp: (Option<u8>, Option<u8>, Option<u16>),
}

impl Fields {
    fn take(&mut self, word: &str) -> Result<()> {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let new = match name {
            "src" => once(&mut self.src, value.parse().ok()),
            "dst" => once(&mut self.dst, value.parse().ok()),
            "sport" => once(&mut self.ports[0], small(value)),
            "dport" => once(&mut self.ports[1], small(value)),
            "srckey" => once(&mut self.keys[0], small(value)),
            "dstkey" => once(&mut self.keys[1], small(value)),
            "type" => once(&mut self.icmp.0, small(value)),
            "code" => once(&mut self.icmp.1, small(value)),
            "id" => once(&mut self.icmp.2, small(value)),
            _ => false,
        };
        match new {
            true => Ok(()),
            false => Err(Error::invalid_input(format!(
                "tuple: {word:?} is unknown, has an invalid value, or is repeated"
            ))),
        }
    }

    fn tuple(self, protocol: Protocol) -> Result<Tuple> {
        let (Some(src), Some(dst)) = (self.src, self.dst) else {
            return Err(Error::invalid_input("tuple: src= or dst= is missing"));
        };
        let of_keys = protocol == Protocol::GRE;
        let (ends, others) = match of_keys {
            true => (self.keys, self.ports),
            false => (self.ports, self.keys),
        };
        match (ends, others, self.icmp) {
            ([Some(sport), Some(dport)], [None, None], (None, None, None)) => {
                Tuple::new(protocol, (src, sport).into(), (dst, dport).into())
            }
            ([None, None], [None, None], (Some(kind), Some(code), Some(id))) => {
                Tuple::with_echo(protocol, src, dst, IcmpEcho::new(kind, code, id))
            }
            ([None, None], [None, None], (None, None, None)) => Tuple::generic(src, dst, protocol),
            _ => Err(Error::invalid_input(format!(
                "tuple: the words do not fit protocol {protocol}, or one is missing"
            ))),
        }
    }
}

/// Stores a value. Returns `false` if there is one already, or if there is no value.
fn once<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let new = place.is_none() && value.is_some();
    *place = place.take().or(value);
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_nouns() {
        for family in [Family::Ipv4, Family::Ipv6] {
            assert_eq!(family.to_string().parse::<Family>().unwrap(), family);
        }
        for zone in [Zone::new(5), Zone::orig(6), Zone::reply(7), Zone::new(0)] {
            assert_eq!(zone.to_string().parse::<Zone>().unwrap(), zone);
        }
        assert_eq!("9".parse::<Zone>().unwrap(), Zone::new(9));
        let newer = Status::from_bits_retain(0x8003_0000);
        for status in [Status::empty(), Status::DYING, Status::ASSURED | newer] {
            assert_eq!(status.to_string().parse::<Status>().unwrap(), status);
        }
        assert_eq!("assured".parse::<Status>().unwrap(), Status::ASSURED);
        for labels in [Labels::EMPTY, Labels::ALL, Labels::bit(7).unwrap()] {
            assert_eq!(labels.to_string().parse::<Labels>().unwrap(), labels);
        }
    }

    #[test]
    fn others_are_refused_by_name() {
        fn refused<T: FromStr<Err = Error>>(text: &str, name: &str) {
            let Err(error) = text.parse::<T>() else {
                panic!("{text:?} was read");
            };
            assert!(error.to_string().contains(name), "{error}");
        }
        refused::<Family>("inet", "\"inet\"");
        for text in ["", "zone", "zone=", "zone=65536", "zone=+1", "area=5", "-1"] {
            refused::<Zone>(text, &format!("{text:?}"));
        }
        refused::<Status>("ASSURED,", "\"\"");
        refused::<Status>("ASURED", "\"ASURED\"");
        refused::<Labels>("3,128", "128");
        refused::<Labels>("3,,4", "\"\"");
        refused::<Labels>("web", "\"web\"");
    }

    #[test]
    fn a_tuple_after_its_protocol() {
        for text in [
            "tcp src=10.0.0.1 dst=10.0.0.2 sport=4000 dport=443",
            "udp src=fe80::1 dst=fe80::2 sport=0 dport=53",
            "gre src=10.0.0.1 dst=10.0.0.2 srckey=0x0 dstkey=0x5",
            "icmp src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=7",
            "icmpv6 src=fe80::1 dst=fe80::2 type=128 code=0 id=7",
            "icmp src=fe80::1 dst=fe80::2 type=8 code=0 id=7",
            "icmpv6 src=10.0.0.1 dst=10.0.0.2 type=129 code=0 id=7",
            // From a kernel that keeps no ICMP fields.
            "icmpv6 src=10.0.0.1 dst=10.0.0.2 type=0 code=0 id=0",
            "icmp src=fe80::1 dst=fe80::2 type=0 code=0 id=0",
            "esp src=10.0.0.1 dst=10.0.0.2",
            "253 src=10.0.0.1 dst=10.0.0.2",
        ] {
            let tuple: Tuple = text.parse().unwrap();
            assert_eq!(format!("{} {tuple}", tuple.protocol()), text);
        }
        let (src, dst) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let sctp = Tuple::generic(src, dst, Protocol::SCTP).unwrap();
        assert_eq!(
            "sctp dst=10.0.0.2 src=10.0.0.1".parse::<Tuple>().unwrap(),
            sctp
        );
    }

    #[test]
    fn what_is_no_tuple_is_refused() {
        for text in [
            "",
            "tcp",
            "src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2",
            "tcp src=10.0.0.1 dst=10.0.0.2",
            "tcp src=10.0.0.1 dst=10.0.0.2 sport=1",
            "tcp src=10.0.0.1 dst=10.0.0.2 sport=1 dport=65536",
            "tcp src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 sport=1",
            "tcp src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 mark=1",
            "tcp src=10.0.0.1 dst=10.0.0.2 srckey=1 dstkey=2",
            "tcp src=10.0.0.1 dst=::1 sport=1 dport=2",
            "gre src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2",
            "esp src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2",
            "icmp src=10.0.0.1 dst=10.0.0.2",
            "icmp src=10.0.0.1 dst=10.0.0.2 type=3 code=0 id=7",
            "icmp src=::1 dst=::2 type=128 code=0 id=7",
            "icmpv6 src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=7",
            "icmpv6 src=::1 dst=::2 type=0 code=0 id=7",
            "icmp src=::1 dst=10.0.0.2 type=8 code=0 id=7",
            "tcp src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=7",
            "esp src=10.0.0.1 dst=10.0.0.2 type=0 code=0 id=0",
        ] {
            let error = text
                .parse::<Tuple>()
                .map(|tuple| panic!("{text:?}: {tuple:?}"));
            assert_eq!(error.unwrap_err().kind(), crate::ErrorKind::InvalidInput);
        }
    }
}
