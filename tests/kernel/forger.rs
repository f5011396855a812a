//! Sends messages that only the kernel should send, to the sockets of this network namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::{fs, io};

use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};

/// The netfilter sockets of this namespace: their port ids, and the number of lost datagrams. All
/// of them belong to this test.
fn sockets() -> BTreeMap<u32, u64> {
    let table = fs::read_to_string("/proc/thread-self/net/netlink").expect("the netlink sockets");
    let sockets = table.lines().skip(1).filter_map(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let protocol: isize = columns.next()?.parse().ok()?;
        let port: u32 = columns.next()?.parse().ok()?;
        let drops: u64 = columns.nth(5)?.parse().ok()?;
        // The kernel's socket has port 0.
        (protocol == NETLINK_NETFILTER && port != 0).then_some((port, drops))
    });
    sockets.collect()
}

/// The port ids of this namespace's netfilter sockets.
pub(crate) fn ports() -> BTreeSet<u32> {
    sockets().into_keys().collect()
}

/// The number of datagrams that had no room in the queue of this port's socket.
pub(crate) fn drops(port: u32) -> u64 {
    sockets()[&port]
}

/// The port id of the only socket that is new since `before`.
pub(crate) fn new_port(before: &BTreeSet<u32>) -> u32 {
    let new: Vec<u32> = ports().difference(before).copied().collect();
    assert_eq!(new.len(), 1, "{new:?}");
    new[0]
}

pub(crate) struct Forger(Socket);

impl Forger {
    pub(crate) fn new() -> Self {
        let mut socket = Socket::new(NETLINK_NETFILTER).expect("a socket");
        socket.bind_auto().expect("a port");
        socket.set_non_blocking(true).expect("a socket option");
        Self(socket)
    }

    /// Sends a datagram to this port's socket.
    pub(crate) fn send(&self, port: u32) -> io::Result<usize> {
        self.0.send_to(&[0; 16], &SocketAddr::new(port, 0), 0)
    }
}
