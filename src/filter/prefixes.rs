//! Sets of addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::error::{Error, Result};
use crate::flow::Family;
use crate::flow::address::plain_net;

/// A set of addresses. It converts from an address, a prefix, or a list of them.
///
/// A lookup is a binary search, and a clone is cheap. Overlapping and adjacent prefixes are merged.
/// IPv4-mapped ones (`::ffff:10.0.0.0/104`) become IPv4 prefixes.
///
/// A prefix with host bits, such as the `10.0.0.7/24` of an interface, converts, but
/// [`build`](crate::FilterBuilder::build) refuses it: it could mean one address (`/32`) or 256 of
/// them (`10.0.0.0/24`, [`IpNet::trunc`]).
///
/// ```
/// # use std::net::Ipv4Addr;
/// # use ctnetlink::{Filter, IpNet, PrefixSet};
/// let one = PrefixSet::from(Ipv4Addr::new(10, 0, 0, 1));
/// let tenants: PrefixSet = (0..=255)
///     .map(|n| IpNet::new([10, n, 16, 0].into(), 20))
///     .collect::<Result<_, _>>()?;
/// assert!(tenants.contains("10.7.31.255".parse()?) && !tenants.contains("10.7.32.0".parse()?));
/// let filter = Filter::builder().orig_src(tenants).orig_dst(one).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PrefixSet {
    /// Sorted, disjoint, and without host bits.
    nets: Arc<[IpNet]>,
    /// The first prefix that had host bits.
    excess: Option<IpNet>,
}

impl PrefixSet {
    /// Returns `true` if the address is in one of the prefixes.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.around(address)
            .is_some_and(|net| net.contains(&address))
    }

    /// Iterates over the prefixes: disjoint, as few as possible, and IPv4 first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = IpNet> + '_ {
        self.nets.iter().copied()
    }

    /// The number of prefixes in [`iter`](Self::iter).
    pub fn len(&self) -> usize {
        self.nets.len()
    }

    /// Returns `true` if the set is empty.
    pub fn is_empty(&self) -> bool {
        self.nets.is_empty()
    }

    /// The last prefix that begins at the address or before it.
    fn around(&self, address: IpAddr) -> Option<&IpNet> {
        let after = self.nets.partition_point(|net| net.network() <= address);
        self.nets.get(after.checked_sub(1)?)
    }

    fn covers(&self, net: &IpNet) -> bool {
        self.around(net.network())
            .is_some_and(|own| own.contains(net))
    }

    /// The prefix, if there is only one.
    pub(super) fn single(&self) -> Option<IpNet> {
        match *self.nets {
            [net] => Some(net),
            _ => None,
        }
    }

    /// The family, if all addresses have the same one.
    pub(super) fn family(&self) -> Option<Family> {
        let family = |net: &IpNet| match net {
            IpNet::V4(_) => Family::Ipv4,
            IpNet::V6(_) => Family::Ipv6,
        };
        // IPv4 prefixes come first.
        let (first, last) = (self.nets.first()?, self.nets.last()?);
        (family(first) == family(last)).then(|| family(first))
    }

    /// The first prefix that had host bits.
    pub(super) fn excess(&self) -> Option<IpNet> {
        self.excess
    }

    /// The addresses in both sets.
    pub(super) fn common(&self, other: &Self) -> Self {
        let ours = self.iter().filter(|net| other.covers(net));
        let theirs = other.iter().filter(|net| self.covers(net));
        ours.chain(theirs).collect()
    }
}

impl<T: Into<Self>> FromIterator<T> for PrefixSet {
    fn from_iter<I: IntoIterator<Item = T>>(sets: I) -> Self {
        let mut nets = Vec::new();
        let mut excess = None;
        for set in sets {
            let set: Self = set.into();
            nets.extend(set.iter());
            excess = excess.or(set.excess);
        }
        Self {
            nets: IpNet::aggregate(&nets).into(),
            excess,
        }
    }
}

impl From<IpNet> for PrefixSet {
    fn from(net: IpNet) -> Self {
        let plain = plain_net(net);
        Self {
            nets: [plain.trunc()].into(),
            excess: (plain != plain.trunc()).then_some(net),
        }
    }
}

macro_rules! one {
    ($($ty:ty => $net:expr),+ $(,)?) => {
        $(impl From<$ty> for PrefixSet {
            fn from(one: $ty) -> Self {
                Self::from($net(one))
            }
        })+
    };
}

one! {
    Ipv4Net => IpNet::V4,
    Ipv6Net => IpNet::V6,
    IpAddr => IpNet::from,
    Ipv4Addr => |one| IpNet::V4(Ipv4Net::from(one)),
    Ipv6Addr => |one| IpNet::V6(Ipv6Net::from(one)),
}

/// Writes `10.0.0.1` or `10.0.0.0/8`. More than one are in braces, `{10.0.0.0/8, 192.168.0.0/16}`;
/// a long list is cut to the first eight and the number of prefixes.
impl fmt::Display for PrefixSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        if let (Some(net), None) = (self.single(), self.excess) {
            return show(f, net);
        }
        f.write_str("{")?;
        for (index, net) in self.iter().take(SHOWN).enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            show(f, net)?;
        }
        if self.len() > SHOWN {
            write!(f, ", … {} in all", self.len())?;
        }
        f.write_str("}")
    }
}

fn show(f: &mut fmt::Formatter<'_>, net: IpNet) -> fmt::Result {
    match net.prefix_len() == net.max_prefix_len() {
        true => write!(f, "{}", net.addr()),
        false => write!(f, "{net}"),
    }
}

impl fmt::Debug for PrefixSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Reads an address or a prefix.
impl FromStr for PrefixSet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let net = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse().map_err(|_| {
                Error::invalid_input(format!("{text:?} is not an address or a prefix"))
            })?,
        };
        Self::from(net).checked()
    }
}

impl PrefixSet {
    /// Refuses a prefix with host bits.
    pub(super) fn checked(self) -> Result<Self> {
        match self.excess.map(behind) {
            Some(refusal) => Err(Error::invalid_input(refusal)),
            None => Ok(self),
        }
    }
}

/// The message for a prefix that is refused.
pub(super) fn behind(net: IpNet) -> String {
    let (address, all) = (net.addr(), net.trunc());
    format!("{net} has host bits; it could mean only {address}, or all of {all}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> PrefixSet {
        let sets = texts.iter().map(|text| text.parse::<PrefixSet>());
        sets.collect::<Result<_>>().expect("prefixes")
    }

    #[test]
    fn is_what_its_prefixes_are() {
        let all = set(&[
            "10.0.0.0/8",
            "10.1.0.0/16",
            "192.168.0.0/24",
            "192.168.1.0/24",
            "fd00::/16",
            "::ffff:172.16.0.0/108",
        ]);
        assert_eq!(
            all.to_string(),
            "{10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/23, fd00::/16}"
        );
        assert_eq!(all.family(), None);
        for (address, there) in [
            ("10.255.0.1", true),
            ("9.255.255.255", false),
            ("11.0.0.0", false),
            ("172.31.0.1", true),
            ("192.168.1.255", true),
            ("192.168.2.0", false),
            ("fd00::1", true),
            ("fd01::1", false),
            ("::a00:1", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(all.contains(address.parse().unwrap()), there, "{address}");
        }
        assert_eq!(set(&["::/0"]).family(), Some(Family::Ipv6));
        assert!(
            std::iter::empty::<IpNet>()
                .collect::<PrefixSet>()
                .is_empty()
        );
    }

    /// Compared with a linear search in the prefixes, at the edges of each.
    #[test]
    fn thousands_are_found_as_by_a_chain() {
        let nets: Vec<IpNet> = (0..5000_u32)
            .map(|n| {
                let spread = n.wrapping_mul(2_654_435_761);
                let net = Ipv4Net::new(spread.into(), 12 + (n % 21) as u8).unwrap();
                IpNet::V4(net.trunc())
            })
            .collect();
        let all: PrefixSet = nets.iter().copied().collect();
        assert!(all.len() > 100);
        let edges = nets.iter().step_by(50).flat_map(|net| {
            let (IpAddr::V4(first), IpAddr::V4(last)) = (net.network(), net.broadcast()) else {
                unreachable!("IPv4");
            };
            let (first, last) = (u32::from(first), u32::from(last));
            [first.wrapping_sub(1), first, last, last.wrapping_add(1)]
        });
        for address in edges {
            let address = IpAddr::V4(address.into());
            let chain = nets.iter().any(|net| net.contains(&address));
            assert_eq!(all.contains(address), chain, "{address}");
        }
    }

    #[test]
    fn what_two_have_in_common() {
        let (a, b) = (
            set(&["10.0.0.0/8", "192.168.0.0/24"]),
            set(&["10.1.0.0/16", "10.9.9.9", "192.168.0.0/16", "fd00::/8"]),
        );
        let both = set(&["10.1.0.0/16", "10.9.9.9", "192.168.0.0/24"]);
        assert_eq!((a.common(&b), b.common(&a)), (both.clone(), both));
        assert!(a.common(&set(&["11.0.0.0/8"])).is_empty());
    }

    #[test]
    fn bits_behind_a_prefix_are_refused_where_they_are_read() {
        for text in ["10.0.0.7/24", "::ffff:10.0.0.7/120", "fd00::1/64"] {
            let error = text.parse::<PrefixSet>().unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
        assert!("10.0.0".parse::<PrefixSet>().is_err());
        assert!("10.0.0.0/33".parse::<PrefixSet>().is_err());
        assert_eq!(set(&["10.0.0.7"]).to_string(), "10.0.0.7");
        let twelve: PrefixSet = (0..12).map(|n| Ipv4Addr::new(10, 0, n, 1)).collect();
        assert!(twelve.to_string().ends_with(", … 12 in all}"), "{twelve}");
    }

    #[cfg(feature = "serde")]
    #[test]
    fn json() {
        let (one, two) = (set(&["10.0.0.0/8"]), set(&["10.0.0.0/8", "fd00::1"]));
        for (set, text) in [
            (one, r#""10.0.0.0/8""#),
            (two, r#"["10.0.0.0/8","fd00::1/128"]"#),
        ] {
            assert_eq!(serde_json::to_string(&set).unwrap(), text);
            assert_eq!(serde_json::from_str::<PrefixSet>(text).unwrap(), set);
        }
        assert!(serde_json::from_str::<PrefixSet>(r#""10.0.0.7/24""#).is_err());
    }
}
