//! Real flows. A socket belongs to the network namespace of the thread that opens it.

pub mod packet;
mod raw;
pub mod ruled;
mod tcp;
mod udp;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub use self::raw::{ping, raw};
pub use self::tcp::TcpPair;
pub use self::udp::{UdpPair, udp};

/// The wildcard address of the family of `like`, with port 0.
fn unspecified(like: SocketAddr) -> SocketAddr {
    let any = match like {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(any, 0)
}
