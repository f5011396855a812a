//! Normalizes addresses: an IPv4-mapped IPv6 address, as dual-stack sockets show it, becomes the
//! IPv4 address. No packet has the mapped form.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// The length of the prefix that all IPv4-mapped addresses share (`::ffff:0:0/96`).
const MAPPED: u8 = 96;

/// Converts an IPv4-mapped address to the IPv4 address. Returns any other address unchanged.
pub(crate) fn plain_address(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// [`plain_address`] for a prefix: a prefix of /96 or longer inside `::ffff:0:0/96` becomes an IPv4
/// prefix. A shorter one contains IPv6 addresses, and stays unchanged.
pub(crate) fn plain_net(net: IpNet) -> IpNet {
    match (plain_address(net.addr()), net.prefix_len()) {
        (IpAddr::V4(address), len @ MAPPED..=128) if matches!(net, IpNet::V6(_)) => {
            // The length is 32 at the most.
            Ipv4Net::new(address, len - MAPPED).map_or(net, IpNet::V4)
        }
        _ => net,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mapped_is_ipv4() {
        for (given, plain) in [
            ("::ffff:127.0.0.1", "127.0.0.1"),
            ("127.0.0.1", "127.0.0.1"),
            ("::127.0.0.1", "::127.0.0.1"),
            ("64:ff9b::7f00:1", "64:ff9b::7f00:1"),
            ("::1", "::1"),
        ] {
            let given: IpAddr = given.parse().unwrap();
            assert_eq!(plain_address(given), plain.parse::<IpAddr>().unwrap());
        }
    }

    #[test]
    fn a_prefix_that_is_mapped_is_ipv4() {
        for (given, plain) in [
            ("::ffff:10.1.2.3/128", "10.1.2.3/32"),
            ("::ffff:10.1.0.0/112", "10.1.0.0/16"),
            ("::ffff:0.0.0.0/96", "0.0.0.0/0"),
            ("::ffff:0.0.0.0/95", "::ffff:0.0.0.0/95"),
            ("::/0", "::/0"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("2001:db8::/112", "2001:db8::/112"),
        ] {
            let given: IpNet = given.parse().unwrap();
            assert_eq!(plain_net(given), plain.parse::<IpNet>().unwrap());
        }
    }
}
