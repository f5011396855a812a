//! Links and addresses of this thread's network namespace. It sends rtnetlink messages, so ip(8) is
//! not needed.

// Also where this file is named by its path.
#[path = "link/message.rs"]
mod message;

use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::libc::{
    AF_INET, AF_INET6, IF_OPER_UP, IFF_UP, RT_TABLE_MAIN, RTA_GATEWAY, RTM_GETLINK, RTM_NEWADDR,
    RTM_NEWLINK, RTM_NEWROUTE, RTN_UNICAST, RTPROT_STATIC,
};
use nix::net::if_::if_nametoindex;

use self::message::{Create, Message};

// linux/if_addr.h, linux/if_link.h, linux/veth.h
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_F_NODAD: u8 = 0x02;
const IFLA_IFNAME: u16 = 3;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;

/// Adds an address to a link. An IPv6 address is usable at once (no duplicate address detection).
pub async fn add_address(link: &str, addr: IpAddr, prefix: u8) {
    let index = if_nametoindex(link).unwrap_or_else(|errno| panic!("no link {link}: {errno}"));
    let (family, flags, bytes) = match addr {
        IpAddr::V4(addr) => (AF_INET, 0, addr.octets().to_vec()),
        IpAddr::V6(addr) => (AF_INET6, IFA_F_NODAD, addr.octets().to_vec()),
    };
    // struct ifaddrmsg
    let mut message = Message::new(RTM_NEWADDR, Create::New);
    message
        .bytes(&[family as u8, prefix, flags, 0])
        .bytes(&index.to_ne_bytes())
        .attribute(IFA_LOCAL, &bytes)
        .attribute(IFA_ADDRESS, &bytes)
        .execute(&format!("add {addr}/{prefix} to {link}"));
    if let IpAddr::V6(addr) = addr {
        while !is_local(addr) {
            pause().await;
        }
    }
}

/// Sets a link up.
pub async fn set_up(link: &str) {
    let mut message = Message::new(RTM_NEWLINK, Create::No);
    message
        .bytes(&link_header(IFF_UP as u32))
        .attribute(IFLA_IFNAME, &name(link))
        .execute(&format!("set {link} up"));
}

/// Waits until a link can carry packets.
pub async fn running(link: &str) {
    let up = [IF_OPER_UP as u8];
    loop {
        let mut message = Message::new(RTM_GETLINK, Create::No);
        let reply = message
            .bytes(&link_header(0))
            .attribute(IFLA_IFNAME, &name(link))
            .query(&format!("wait for {link}"));
        let attributes = &reply[link_header(0).len()..];
        if message::attribute(attributes, IFLA_OPERSTATE) == Some(&up) {
            return;
        }
        pause().await;
    }
}

/// Adds a veth pair: `near` here, `far` in the network namespace `namespace`.
pub async fn add_veth(near: &str, far: &str, namespace: BorrowedFd<'_>) {
    let mut message = Message::new(RTM_NEWLINK, Create::New);
    message
        .bytes(&link_header(0))
        .attribute(IFLA_IFNAME, &name(near))
        .nested(IFLA_LINKINFO, |info| {
            info.attribute(IFLA_INFO_KIND, b"veth")
                .nested(IFLA_INFO_DATA, |data| {
                    data.nested(VETH_INFO_PEER, |peer| {
                        peer.bytes(&link_header(0))
                            .attribute(IFLA_IFNAME, &name(far))
                            .attribute(IFLA_NET_NS_FD, &namespace.as_raw_fd().to_ne_bytes());
                    });
                });
        })
        .execute(&format!("add the veth pair {near}, {far}"));
}

/// Sends what is for no network that it knows to this host.
pub async fn add_gateway(gateway: IpAddr) {
    let IpAddr::V4(gateway) = gateway else {
        panic!("{gateway} is not of IPv4");
    };
    // struct rtmsg
    let mut message = Message::new(RTM_NEWROUTE, Create::New);
    message
        .bytes(&[AF_INET as u8, 0, 0, 0])
        .bytes(&[RT_TABLE_MAIN, RTPROT_STATIC, 0, RTN_UNICAST])
        .bytes(&0u32.to_ne_bytes())
        .attribute(RTA_GATEWAY, &gateway.octets())
        .execute(&format!("add the gateway {gateway}"));
}

/// `struct ifinfomsg`, of a link that an attribute names. These flags are set.
fn link_header(flags: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..].copy_from_slice(&flags.to_ne_bytes());
    header
}

/// The kernel's strings end with a zero.
fn name(link: &str) -> Vec<u8> {
    [link.as_bytes(), &[0]].concat()
}

/// Whether the kernel takes packets to `addr`: it adds the local route some time after it has answered, even without
/// duplicate address detection.
fn is_local(addr: Ipv6Addr) -> bool {
    const RTF_LOCAL: u32 = 0x8000_0000;
    let routes = fs::read_to_string("/proc/thread-self/net/ipv6_route").expect("the IPv6 routes");
    let host = format!("{:032x} 80 ", addr.to_bits());
    routes
        .lines()
        .filter(|route| route.starts_with(&host))
        .any(|route| {
            let flags = route
                .split_whitespace()
                .nth(8)
                .and_then(|flags| u32::from_str_radix(flags, 16).ok());
            flags.is_some_and(|flags| flags & RTF_LOCAL != 0)
        })
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}
