//! Events that are all queued before the first is read.

use std::io::IoSliceMut;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::Instant;

use ctnetlink::{Event, EventKinds, EventStream};
use futures::StreamExt;
use netlink_sys::Socket;
use nix::sys::socket::{MsgFlags, MultiHeaders, NetlinkAddr, recvmmsg, setsockopt, sockopt};

use crate::common::process::Outcome;
use crate::common::{current_thread, fill, message, raw::Raw};

/// Hidden: makes this process the one that creates the flows.
pub(crate) const CREATE: &str = "--create";

const NETLINK_NETFILTER: isize = 12;
const GROUP_NEW: u32 = 1;
/// The datagrams of one call, and the buffer size for each.
const MANY: usize = 32;
const EVENT: usize = 4096;

/// Half of what the kernel counts for this many events, 1280 bytes each, because the kernel doubles
/// the number.
fn room(events: usize) -> usize {
    events * 700 + 100_000
}

/// The process that creates the flows.
pub(crate) fn create(flows: usize) {
    Raw::open().flush();
    fill::fill(flows);
}

/// Lets another process create the flows, so that callgrind does not count that.
fn begin(flows: usize) {
    let bench = std::env::current_exe().expect("the path of the bench");
    let created = Command::new(bench)
        .args([CREATE, &flows.to_string()])
        .status();
    assert!(created.expect("a process").success(), "no flows");
}

/// The minimum work: receives datagrams, and counts their messages by the lengths in the headers.
pub(crate) fn raw(events: usize) -> Outcome {
    let mut socket = Socket::new(NETLINK_NETFILTER).expect("a netlink socket");
    socket.bind_auto().expect("an address");
    let _ = setsockopt(&socket, sockopt::RcvBufForce, &room(events));
    socket.add_membership(GROUP_NEW).expect("a group");
    begin(events);
    let mut bytes = vec![0; MANY * EVENT];
    let mut lens = Vec::with_capacity(MANY);
    let mut count = 0;
    let start = Instant::now();
    while count < events {
        lens.clear();
        receive(&socket, &mut bytes, &mut lens);
        for (datagram, len) in bytes.chunks_exact(EVENT).zip(&lens) {
            count += message::messages(&datagram[..*len]).count();
        }
    }
    Outcome::new(start, count)
}

/// One call. Its headers contain pointers into the buffer, so safe code must create them for each
/// call.
fn receive(socket: &Socket, bytes: &mut [u8], lens: &mut Vec<usize>) {
    let mut slots: Vec<_> = bytes
        .chunks_exact_mut(EVENT)
        .map(|slot| [IoSliceMut::new(slot)])
        .collect();
    let mut headers = MultiHeaders::<NetlinkAddr>::preallocate(MANY, None);
    let received = recvmmsg(
        socket.as_raw_fd(),
        &mut headers,
        slots.iter_mut(),
        MsgFlags::MSG_DONTWAIT,
        None,
    );
    lens.extend(received.expect("events").map(|message| message.bytes));
}

pub(crate) fn drain(events: usize) -> Outcome {
    current_thread().block_on(async {
        let handle = ctnetlink::connect().await.expect("a connection");
        let stream = handle
            .events()
            .kinds(EventKinds::NEW)
            .receive_buffer(room(events));
        let mut stream: EventStream = stream.await.expect("a stream");
        begin(events);
        let start = Instant::now();
        for _ in 0..events {
            let event = stream.next().await.expect("it goes on").expect("an event");
            assert!(!matches!(event, Event::Overrun { .. }), "{event}");
            std::hint::black_box(&event);
        }
        Outcome::new(start, events)
    })
}

#[cfg(ctnetlink_peers)]
pub(crate) fn nlink(events: usize) -> Outcome {
    use nlink::netlink::netfilter::ConntrackGroup;
    current_thread().block_on(async {
        let connection =
            nlink::Connection::<nlink::netlink::Netfilter>::new().expect("a connection of nlink");
        let room = connection.socket().set_rcvbuf(room(events));
        room.expect("a queue of nlink");
        let group = connection.subscribe(&[ConntrackGroup::New]);
        group.expect("a group of nlink");
        let mut stream = connection.events().await;
        begin(events);
        let start = Instant::now();
        for _ in 0..events {
            let event = stream.next().await.expect("nlink goes on");
            std::hint::black_box(&event.expect("an event of nlink"));
        }
        Outcome::new(start, events)
    })
}
