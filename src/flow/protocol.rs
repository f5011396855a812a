//! The protocol of a flow.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::wire::uapi::*;

/// An IP protocol by its number, `-p`.
///
/// Converts from a `u8`; `FromStr` reads the name or the number. `Display` writes the name, or the
/// number of a protocol without a constant here.
///
/// ```
/// # use ctnetlink::Protocol;
/// assert_eq!("tcp".parse::<Protocol>()?, Protocol::TCP);
/// assert_eq!(Protocol::from(17), Protocol::UDP);
/// assert_eq!(Protocol::SCTP.to_string(), "sctp");
/// assert_eq!(Protocol::from(253).to_string(), "253");
/// # Ok::<(), ctnetlink::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Protocol(u8);

/// Declares the constants, each with the name that is written, and other names that are read.
macro_rules! protocols {
    ($($(#[$meta:meta])* $name:ident = $number:expr, $word:literal $(| $also:literal)*;)+) => {
        impl Protocol {
            $($(#[$meta])* pub const $name: Self = Self($number);)+

            /// The name; `None` for a protocol without a constant.
            pub const fn as_str(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($word),)+
                    _ => None,
                }
            }

            fn by_name(name: &str) -> Option<Self> {
                match name {
                    $($word $(| $also)* => Some(Self::$name),)+
                    _ => None,
                }
            }
        }
    };
}

protocols! {
    /// ICMP (1): tracked by type, code and id.
    ICMP = IPPROTO_ICMP, "icmp";
    /// IGMP (2).
    IGMP = 2, "igmp";
    /// TCP (6).
    TCP = IPPROTO_TCP, "tcp";
    /// UDP (17).
    UDP = IPPROTO_UDP, "udp";
    /// DCCP (33): the kernel tracks its ports until Linux 6.16.
    DCCP = IPPROTO_DCCP, "dccp";
    /// IPv6 in IP (41).
    IPV6 = 41, "ipv6";
    /// GRE (47): keys in place of ports.
    GRE = IPPROTO_GRE, "gre";
    /// ESP of IPsec (50).
    ESP = 50, "esp";
    /// AH of IPsec (51).
    AH = 51, "ah";
    /// ICMPv6 (58): tracked by type, code and id.
    ICMPV6 = IPPROTO_ICMPV6, "icmpv6" | "ipv6-icmp";
    /// OSPF (89).
    OSPF = 89, "ospf";
    /// VRRP (112).
    VRRP = 112, "vrrp";
    /// SCTP (132).
    SCTP = IPPROTO_SCTP, "sctp";
    /// UDP-Lite (136): the kernel tracks its ports until Linux 7.2.
    UDPLITE = IPPROTO_UDPLITE, "udplite";
}

impl Protocol {
    /// The protocol of this number.
    pub const fn new(number: u8) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl From<u8> for Protocol {
    fn from(number: u8) -> Self {
        Self(number)
    }
}

impl From<Protocol> for u8 {
    fn from(protocol: Protocol) -> Self {
        protocol.0
    }
}

impl PartialEq<u8> for Protocol {
    fn eq(&self, number: &u8) -> bool {
        self.0 == *number
    }
}

impl PartialEq<Protocol> for u8 {
    fn eq(&self, protocol: &Protocol) -> bool {
        *self == protocol.0
    }
}

/// The name, or the number of a protocol without one.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_str() {
            Some(name) => f.pad(name),
            None => self.0.fmt(f),
        }
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The name in any case, or the number.
impl FromStr for Protocol {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.parse()
            .ok()
            .map(Self)
            .or_else(|| Self::by_name(&text.to_ascii_lowercase()))
            .ok_or_else(|| {
                Error::invalid_input(format!("{text:?} is not the name or number of a protocol"))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_survives_its_text() {
        for number in 0..=u8::MAX {
            let protocol = Protocol::from(number);
            assert_eq!(protocol.to_string().parse::<Protocol>().unwrap(), protocol);
            assert_eq!(number.to_string().parse::<Protocol>().unwrap(), protocol);
        }
    }

    #[test]
    fn names_are_read_in_any_case_and_others_refused() {
        assert_eq!("TCP".parse::<Protocol>().unwrap(), Protocol::TCP);
        assert_eq!("ipv6-icmp".parse::<Protocol>().unwrap(), Protocol::ICMPV6);
        for text in ["", "tpc", "256", "-1", "6 "] {
            let error = text.parse::<Protocol>().unwrap_err();
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }
}
