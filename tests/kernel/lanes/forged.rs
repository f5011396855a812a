//! Messages that somebody else sends to our sockets: only the kernel's count.

use std::collections::BTreeSet;
use std::fs;
use std::future::IntoFuture;

use futures::StreamExt;
use futures::future::join_all;
use libtest_mimic::Trial;
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use tokio::task::yield_now;

use super::{alone, connect, fill, list, rest, udp, until};

const FLOWS: u16 = 3000;

const ERROR: u16 = 2;
const DONE: u16 = 3;

pub(super) fn tests() -> Vec<Trial> {
    alone!("lanes::forged":
        the_end_of_a_walk,
        the_answers_to_requests,
    )
}

/// The port ids of this namespace's netfilter sockets. It is a test's own: so are they.
fn ports() -> BTreeSet<u32> {
    let table = fs::read_to_string("/proc/thread-self/net/netlink").expect("the netlink sockets");
    let sockets = table.lines().skip(1).filter_map(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let protocol: isize = columns.next()?.parse().ok()?;
        let port: u32 = columns.next()?.parse().ok()?;
        // The kernel's own has port 0.
        (protocol == NETLINK_NETFILTER && port != 0).then_some(port)
    });
    sockets.collect()
}

/// The port id of the only socket that was not there `before`.
fn new_port(before: &BTreeSet<u32>) -> u32 {
    let new: Vec<u32> = ports().difference(before).copied().collect();
    assert_eq!(new.len(), 1, "{new:?}");
    new[0]
}

/// A verdict, as the kernel would give it.
fn verdict(kind: u16, seq: u32, errno: i32) -> Vec<u8> {
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

struct Forger(Socket);

impl Forger {
    fn new() -> Self {
        let mut socket = Socket::new(NETLINK_NETFILTER).expect("a socket");
        socket.bind_auto().expect("a port");
        Self(socket)
    }

    /// Puts a datagram into the receive queue of this port's socket.
    fn send(&self, port: u32, datagram: &[u8]) {
        let sent = self.0.send_to(datagram, &SocketAddr::new(port, 0), 0);
        assert_eq!(sent.expect("the right to send"), datagram.len());
    }
}

async fn the_end_of_a_walk() {
    let handle = connect();
    fill(&handle, FLOWS).await;
    let forger = Forger::new();
    for (kind, errno) in [(DONE, 0), (ERROR, 0), (ERROR, Errno::EPERM as i32)] {
        let before = ports();
        let mut flows = list(&handle).await;
        flows.next().await.expect("an item").expect("a flow");
        forger.send(new_port(&before), &verdict(kind, 1, errno));
        assert_eq!(rest(flows).await, usize::from(FLOWS) - 1);
        until(|| ports() == before, || "its socket is left".into()).await;
    }
}

async fn the_answers_to_requests() {
    const GETS: u16 = 200;
    fill(&connect(), GETS).await;
    let forger = Forger::new();
    for errno in [0, Errno::ENOENT as i32, Errno::EPERM as i32] {
        let before = ports();
        let handle = connect();
        let port = new_port(&before);
        // A new connection counts its requests from 1.
        let all: Vec<u8> = (1..=u32::from(GETS))
            .flat_map(|seq| verdict(ERROR, seq, errno))
            .collect();
        forger.send(port, &all);
        let gets = join_all((0..GETS).map(|n| handle.get(udp(n)).into_future()));
        // As many as leave room for the kernel's.
        let forge = async {
            for _ in 0..4 {
                yield_now().await;
                forger.send(port, &all);
            }
        };
        let (answers, ()) = futures::join!(gets, forge);
        for (n, answer) in (0..).zip(answers) {
            let flow = answer.unwrap_or_else(|error| panic!("get {n}: {error}"));
            assert_eq!(flow.expect("a flow").orig, udp(n));
        }
    }
}
