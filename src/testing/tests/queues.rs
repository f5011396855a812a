//! Receive queues, and listeners.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use super::*;
use crate::testing::EventFault;

const NEW: u32 = 1;
const DESTROY: u32 = 3;

fn pair() -> (Kernel, FakeSocket, FakeSocket) {
    let kernel = Kernel::new();
    let sockets = [FakeSocket::open(&kernel), FakeSocket::open(&kernel)];
    let [asker, listener] = sockets;
    (kernel, asker, listener)
}

fn make(socket: &FakeSocket, flows: std::ops::Range<u16>) {
    for n in flows {
        socket.send(&create(n, 1)).unwrap();
        assert_eq!(drain(socket), [(1, NLMSG_ERROR, Some(0))]);
    }
}

/// Like a real queue: 166 events fit, the loss is reported before them, and nothing is queued until
/// all are read.
#[test]
fn a_listener_that_does_not_read_loses_and_is_told() {
    let (kernel, asker, listener) = pair();
    listener.join_group(NEW).unwrap();
    make(&asker, 0..1000);
    assert_eq!(listener.drops(), 834);
    assert_eq!(listener.backlog(), 166 * 1280);
    let errno = listener.receive_now().unwrap_err().raw_os_error();
    assert_eq!(errno, Some(ENOBUFS));
    listener.receive_now().unwrap();
    make(&asker, 1000..1001);
    assert_eq!(listener.drops(), 835, "it is congested");
    assert_eq!(drain(&listener).len(), 165);
    make(&asker, 1001..1002);
    assert_eq!(drain(&listener), [(0, IPCTNL_MSG_CT_NEW, None)]);
    assert_eq!(kernel.flows().len(), 1002);
}

#[test]
fn without_enobufs_each_loss_is_one() {
    let (_kernel, asker, listener) = pair();
    listener.set_no_enobufs(true);
    listener.join_group(NEW).unwrap();
    make(&asker, 0..200);
    listener.receive_now().unwrap();
    make(&asker, 200..202);
    assert_eq!(drain(&listener).len(), 166);
    assert_eq!(listener.drops(), 35);
}

#[test]
fn a_queue_is_as_large_as_it_is_set() {
    let (_kernel, asker, listener) = pair();
    listener.set_receive_queue(6400);
    assert_eq!(listener.receive_queue(), 12_800);
    listener.join_group(NEW).unwrap();
    make(&asker, 0..20);
    assert_eq!(listener.drops(), 10);
    listener.set_receive_queue(0);
    assert_eq!(listener.receive_queue(), 2304);
}

#[test]
fn groups_are_heard_that_were_joined() {
    let (kernel, asker, listener) = pair();
    listener.join_group(DESTROY).unwrap();
    make(&asker, 0..2);
    assert_eq!(drain(&listener), []);
    kernel.advance(Duration::from_secs(60));
    assert_eq!(drain(&listener), [(0, IPCTNL_MSG_CT_DELETE, None); 2]);
    make(&asker, 0..1);
    listener.leave_group(DESTROY);
    kernel.advance(Duration::from_secs(60));
    assert_eq!(drain(&listener), []);
}

/// Flows that began before a program listened make no events, unless the setting says so.
#[test]
fn mute_flows() {
    for (events, heard) in [(0, 0), (1, 1), (2, 0)] {
        let kernel = Kernel::release("6.18").unwrap().events(events).build();
        let (asker, listener) = (FakeSocket::open(&kernel), FakeSocket::open(&kernel));
        make(&asker, 0..1);
        listener.join_group(DESTROY).unwrap();
        kernel.advance(Duration::from_secs(60));
        assert_eq!(drain(&listener).len(), heard, "{events}");
    }
}

#[test]
fn events_lost_without_a_word_and_told_twice() {
    let (kernel, asker, listener) = pair();
    listener.join_group(NEW).unwrap();
    kernel.on_event(1, EventFault::Lost);
    kernel.on_event(2, EventFault::Twice);
    make(&asker, 0..4);
    assert_eq!(drain(&listener).len(), 4);
    assert_eq!(listener.drops(), 0);
}

/// The event contains the port of the program that caused it, or 0 for packets.
#[test]
fn an_event_tells_whose_it_is() {
    let (kernel, asker, listener) = pair();
    listener.join_group(NEW).unwrap();
    make(&asker, 0..1);
    kernel.packet(tuple(1), 60);
    let port = |datagram: Vec<u8>| u32::from_ne_bytes(*datagram[12..].first_chunk().unwrap());
    assert_ne!(port(listener.receive_now().unwrap()), 0);
    assert_eq!(port(listener.receive_now().unwrap()), 0);
}

#[test]
fn a_reader_is_woken() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (_kernel, asker, listener) = pair();
    listener.join_group(NEW).unwrap();
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    let mut cx = Context::from_waker(&waker);
    assert!(listener.poll_readable(&mut cx).is_pending());
    make(&asker, 0..1);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert!(listener.poll_readable(&mut cx).is_ready());
    assert_eq!(drain(&listener).len(), 1);
    assert!(listener.poll_readable(&mut cx).is_pending());
}

#[test]
fn sockets_that_are_dropped_are_closed() {
    let (kernel, asker, listener) = pair();
    assert_eq!(kernel.sockets(), 2);
    drop((asker, listener));
    assert_eq!(kernel.sockets(), 0);
}

/// Answers that have no room are lost, but their requests are carried out.
#[test]
fn answers_beyond_the_queue_are_lost() {
    let (kernel, asker, _) = pair();
    let batch: Vec<u8> = (0..300).flat_map(|n| create(n, u32::from(n) + 1)).collect();
    asker.send(&batch).unwrap();
    assert_eq!(kernel.flows().len(), 300);
    assert_eq!(
        asker.receive_now().unwrap_err().raw_os_error(),
        Some(ENOBUFS)
    );
    assert_eq!(drain(&asker).len(), 256);
    let long = vec![0; asker.send_queue() + 1];
    assert_eq!(
        asker.send(&long).unwrap_err().raw_os_error(),
        Some(EMSGSIZE)
    );
}
