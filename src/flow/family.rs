//! The address families of the table.

use std::net::IpAddr;

use crate::wire::uapi::{AF_INET, AF_INET6};

/// An address family of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Family {
    /// IPv4, `-f ipv4`.
    Ipv4,
    /// IPv6, `-f ipv6`.
    Ipv6,
}

impl Family {
    /// The family of an address.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// The family with this number; `None` for any other number.
    pub(crate) fn known(number: u16) -> Option<Self> {
        [Self::Ipv4, Self::Ipv6]
            .into_iter()
            .find(|family| u16::from(family.number()) == number)
    }

    /// The kernel's number, `AF_INET` or `AF_INET6`: 2 or 10.
    pub fn number(self) -> u8 {
        match self {
            Self::Ipv4 => AF_INET,
            Self::Ipv6 => AF_INET6,
        }
    }
}
