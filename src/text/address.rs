//! Writes addresses like inet_ntop(3).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// Differs from the `Display` of [`IpAddr`] only for IPv4-compatible addresses (`::192.0.2.1`).
pub(super) struct Address(pub(super) IpAddr);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V6(address) => match address.segments() {
                [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
                    let tail = (u32::from(high) << 16) | u32::from(low);
                    write!(f, "::{}", Ipv4Addr::from(tail))
                }
                _ => address.fmt(f),
            },
            IpAddr::V4(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Input and output of glibc 2.36.
    const GOLDEN: &[(&str, &str)] = &[
        ("192.0.2.1", "192.0.2.1"),
        ("::", "::"),
        ("::1", "::1"),
        ("::1:2", "::0.1.0.2"),
        ("::1:0", "::0.1.0.0"),
        ("::1.2.3.4", "::1.2.3.4"),
        ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
        ("::ffff:0:1", "::ffff:0.0.0.1"),
        ("64:ff9b::1.2.3.4", "64:ff9b::102:304"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
        ("0:1::", "0:1::"),
        ("fe80::", "fe80::"),
        ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
        ("1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"),
    ];

    #[test]
    fn addresses_read_as_inet_ntop_writes_them() {
        for (given, printed) in GOLDEN {
            assert_eq!(Address(given.parse().unwrap()).to_string(), *printed);
        }
    }
}
