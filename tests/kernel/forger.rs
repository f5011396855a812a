//! Sends what only the kernel should send: to the sockets of this network namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::{fs, io};

use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};

pub(crate) const ERROR: u16 = 2;
pub(crate) const DONE: u16 = 3;

/// The netfilter sockets of this namespace, by their port ids, with what was lost of each. The
/// namespace is a test's own: so are they.
fn sockets() -> BTreeMap<u32, u64> {
    let table = fs::read_to_string("/proc/thread-self/net/netlink").expect("the netlink sockets");
    let sockets = table.lines().skip(1).filter_map(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let protocol: isize = columns.next()?.parse().ok()?;
        let port: u32 = columns.next()?.parse().ok()?;
        let drops: u64 = columns.nth(5)?.parse().ok()?;
        // The kernel's own has port 0.
        (protocol == NETLINK_NETFILTER && port != 0).then_some((port, drops))
    });
    sockets.collect()
}

/// The port ids of this namespace's netfilter sockets.
pub(crate) fn ports() -> BTreeSet<u32> {
    sockets().into_keys().collect()
}

/// How many datagrams of the kernel's had no room in the queue of this port's socket.
pub(crate) fn drops(port: u32) -> u64 {
    sockets()[&port]
}

/// The port id of the only socket that was not there `before`.
pub(crate) fn new_port(before: &BTreeSet<u32>) -> u32 {
    let new: Vec<u32> = ports().difference(before).copied().collect();
    assert_eq!(new.len(), 1, "{new:?}");
    new[0]
}

/// A verdict, as the kernel would give it.
pub(crate) fn verdict(kind: u16, seq: u32, errno: i32) -> Vec<u8> {
    // With an ERROR comes the header of what it answers.
    let request: &[u8] = if kind == ERROR { &[0; 16] } else { &[] };
    let len = 20 + request.len() as u32;
    let mut message = len.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend([0; 2]);
    message.extend(seq.to_ne_bytes());
    message.extend([0; 4]);
    message.extend((-errno).to_ne_bytes());
    message.extend(request);
    message
}

pub(crate) struct Forger(Socket);

impl Forger {
    pub(crate) fn new() -> Self {
        let mut socket = Socket::new(NETLINK_NETFILTER).expect("a socket");
        socket.bind_auto().expect("a port");
        socket.set_non_blocking(true).expect("a socket option");
        Self(socket)
    }

    /// Puts junk into the receive queue of this port's socket until it is full, so many at most;
    /// says how many that was. Junk takes as much room as the kernel's shortest answer.
    pub(crate) fn junk(&self, port: u32, most: usize) -> io::Result<usize> {
        let to = SocketAddr::new(port, 0);
        let mut sent = 0;
        while sent < most {
            match self.0.send_to(&[0; 16], &to, 0) {
                Ok(_) => sent += 1,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    /// How many pieces of [`junk`](Self::junk) a receive queue of the usual size has room for.
    pub(crate) fn room(&self) -> usize {
        let mut socket = Socket::new(NETLINK_NETFILTER).expect("a socket");
        let address = socket.bind_auto().expect("a port");
        let room = self.junk(address.port_number(), usize::MAX);
        room.expect("the right to send")
    }

    /// Puts a datagram into the receive queue of this port's socket.
    pub(crate) fn send(&self, port: u32, datagram: &[u8]) {
        let sent = self.0.send_to(datagram, &SocketAddr::new(port, 0), 0);
        assert_eq!(sent.expect("the right to send"), datagram.len());
    }
}
