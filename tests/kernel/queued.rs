//! Packets that wait for a verdict (NFQUEUE): their flows are not in the table yet.

use std::io;
use std::time::Duration;

use ctnetlink::{ConntrackHandle, Event, Flow, Status, Table, Tuple};
use futures::{FutureExt, StreamExt, TryStreamExt};
use libtest_mimic::Trial;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use tokio::time::{sleep, timeout};

use crate::common::connect;
use crate::scenarios::bytes::{Attrs, message};
use crate::support::nft::{self, Port};
use crate::support::traffic;
use crate::support::visible::visible;
use crate::support::{patience, release};

pub(crate) fn tests() -> Vec<Trial> {
    crate::trials!["queued":
        until_it_is_accepted,
        one_that_is_dropped,
    ]
}

const PORT: u16 = 4321;
const NUMBER: u16 = 7;
const NETFILTER: isize = 12;

const PACKET: u16 = 0x0300;
const VERDICT: u16 = 0x0301;
const CONFIG: u16 = 0x0302;
/// `NLM_F_REQUEST | NLM_F_ACK`.
const ACKNOWLEDGED: u16 = 5;

const DROP: u32 = 0;
const ACCEPT: u32 = 1;

/// The queue. A rule sends packets to it.
struct Queue(Socket);

impl Queue {
    /// `None` if the kernel has no queues.
    async fn open() -> Option<Self> {
        nft::track().expect("a rule");
        match nft::queue(Port::Udp(PORT), NUMBER) {
            Ok(_) => {}
            Err(refused) if refused.errno == Errno::ENOENT => {
                eprintln!("this kernel has no queues: {refused}");
                return None;
            }
            Err(refused) => panic!("{refused}"),
        }
        let mut socket = Socket::new(NETFILTER).expect("a socket");
        socket.bind_auto().expect("a port");
        socket.set_non_blocking(true).expect("a socket option");
        let queue = Self(socket);
        // Bind to the queue, and ask for packets without their bytes.
        for (kind, payload) in [(1, &[1, 0, 0, 0][..]), (2, &[0, 0, 0, 0, 1])] {
            queue.send(CONFIG, ACKNOWLEDGED, kind, payload);
            let answer = queue.next().await;
            assert_eq!(answer[16..20], [0; 4], "{answer:?}");
        }
        Some(queue)
    }

    fn send(&self, what: u16, flags: u16, kind: u16, payload: &[u8]) {
        let mut body = Attrs(vec![0, 0]);
        body.0.extend(NUMBER.to_be_bytes());
        body.put(kind, payload);
        let message = message(what, flags, 1, &body.0);
        let sent = self.0.send_to(&message, &SocketAddr::new(0, 0), 0);
        sent.expect("a send");
    }

    async fn next(&self) -> Vec<u8> {
        let receive = async {
            loop {
                let mut datagram = Vec::with_capacity(4096);
                match self.0.recv(&mut datagram, 0) {
                    Ok(_) => return datagram,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        sleep(Duration::from_millis(2)).await;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        };
        let received = timeout(patience::answer(), receive).await;
        received.expect("a message of the queue")
    }

    /// Waits for a packet, and returns its number.
    async fn packet(&self) -> [u8; 4] {
        let message = self.next().await;
        assert_eq!(message[4..6], PACKET.to_ne_bytes());
        // `NFQA_PACKET_HDR` is the first attribute.
        message[24..28].try_into().expect("a number")
    }

    fn decide(&self, packet: [u8; 4], verdict: u32) {
        let payload = [verdict.to_be_bytes(), packet].concat();
        self.send(VERDICT, 1, 2, &payload);
    }
}

/// Sends a packet that waits in the queue.
async fn waiting(queue: &Queue) -> ([u8; 4], Tuple) {
    let server = ([127, 0, 0, 1], PORT).into();
    let client = traffic::udp(None, server).expect("a packet");
    let tuple = Tuple::udp(client, server).expect("one family");
    (queue.packet().await, tuple)
}

async fn all(handle: &ConntrackHandle, table: Table) -> Vec<Flow> {
    let flows = handle.list(table).await.expect("a stream");
    flows.try_collect().await.expect("flows")
}

/// The flow is in no table, except the table of unconfirmed flows that kernels before 5.19 have.
async fn is_unconfirmed(handle: &ConntrackHandle, tuple: Tuple) {
    assert_eq!(handle.get(tuple).await.expect("an answer"), None);
    assert_eq!(all(handle, Table::Conntrack).await, []);
    let unconfirmed = all(handle, Table::Unconfirmed).await;
    if release::release() < (5, 19) {
        let [flow] = &unconfirmed[..] else {
            panic!("{unconfirmed:?}");
        };
        assert_eq!(flow.orig, tuple);
        assert!(!flow.status.contains(Status::CONFIRMED), "{flow}");
    } else {
        assert_eq!(unconfirmed, []);
    }
}

async fn until_it_is_accepted() {
    let Some(queue) = Queue::open().await else {
        return;
    };
    let handle = connect();
    let mut events = handle.events().await.expect("a stream");
    let (packet, tuple) = waiting(&queue).await;
    is_unconfirmed(&handle, tuple).await;
    assert!(events.next().now_or_never().is_none(), "it has not begun");
    queue.decide(packet, ACCEPT);
    let flow = visible(&handle, tuple).await;
    assert!(flow.status.contains(Status::CONFIRMED), "{flow}");
    let event = timeout(patience::answer(), events.next()).await;
    let event = event.expect("an event").expect("an item").expect("one");
    assert!(
        matches!(&event, Event::New { flow, .. } if flow.orig == tuple),
        "{event}"
    );
    assert_eq!(all(&handle, Table::Unconfirmed).await, []);
}

/// The flow is in no table.
async fn one_that_is_dropped() {
    let Some(queue) = Queue::open().await else {
        return;
    };
    let handle = connect();
    let mut events = handle.events().await.expect("a stream");
    let (packet, tuple) = waiting(&queue).await;
    queue.decide(packet, DROP);
    // The kernel applies the verdict inside the send.
    assert_eq!(handle.get(tuple).await.expect("an answer"), None);
    for table in [Table::Conntrack, Table::Unconfirmed] {
        assert_eq!(all(&handle, table).await, []);
    }
    assert!(events.next().now_or_never().is_none());
}
