//! The options of a connection: its namespace, and its timeout.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::thread;
use std::time::Duration;

use ctnetlink::{ConntrackHandle, ErrorKind, Family, NetworkNamespace, Options, Table};
use libtest_mimic::Trial;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getpid, gettid};

use super::{
    connect, create, got, is_gone, list, new, refused, sorted, tcp, tcp6, tuples, udp, udp6,
};
use crate::support::namespace::block_on;
use crate::support::peer::Peer;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["options":
        a_namespace_by_a_threads_path,
        a_namespace_by_a_bound_path,
        a_namespace_by_a_file,
        a_handle_stays_where_it_was_opened,
        a_namespace_that_is_none,
        a_request_has_a_timeout,
        a_walk_has_a_timeout,
        needs_no_runtime,
    ]
}

const OWN: &str = "/proc/thread-self/ns/net";

fn within(namespace: impl Into<NetworkNamespace>) -> ConntrackHandle {
    let options = Options::new().network_namespace(namespace);
    let (connection, handle) = options.new_connection().expect("a connection");
    tokio::spawn(connection);
    handle
}

/// Checks that every lane of `theirs`, opened from here, uses the peer's table and no other.
async fn reaches(peer: &Peer, theirs: &ConntrackHandle) {
    let before = fs::read_link(OWN).expect("a namespace");
    let ours = connect();
    create(&ours, new(udp(1))).await;
    for tuple in [udp(1), tcp(1), tcp6(1), udp6(1)] {
        create(theirs, new(tuple).mark(7)).await;
    }
    theirs.set_mark(tcp(1), 8).await.expect("a mark");
    theirs.delete(udp(1)).await.expect("a delete");
    let expected = sorted(vec![tcp(1), tcp6(1), udp6(1)]);
    assert_eq!(tuples(theirs).await, expected);
    assert_eq!(tuples(&ours).await, [udp(1)]);
    let inside = peer.run(|| block_on(async { tuples(&connect()).await }));
    assert_eq!(inside, expected);
    assert_eq!(got(theirs, tcp(1)).await.mark, Some(8));
    assert!(is_gone(theirs, udp(1)).await && is_gone(&ours, tcp(1)).await);

    let flush = theirs.flush(Table::Conntrack).family(Family::Ipv6);
    flush.await.expect("a flush");
    assert_eq!(tuples(theirs).await, [tcp(1)]);
    theirs.flush(Table::Conntrack).await.expect("a flush");
    assert_eq!(list(theirs).await, []);
    assert_eq!(tuples(&ours).await, [udp(1)]);
    ours.delete(udp(1)).await.expect("a delete");
    assert_eq!(fs::read_link(OWN).expect("a namespace"), before);
}

fn namespace_of(peer: &Peer) -> File {
    peer.run(|| File::open(OWN).expect("the peer's namespace"))
}

async fn a_namespace_by_a_threads_path() {
    let peer = Peer::new().await;
    let here = format!("/proc/{}/task/{}/ns/net", getpid(), gettid());
    create(&connect(), new(udp(9))).await;
    // From a thread in the peer's namespace.
    let seen = peer.run(|| {
        block_on(async {
            create(&connect(), new(udp(1))).await;
            let theirs = within(here);
            theirs.set_mark(udp(9), 9).await.expect("a mark");
            tuples(&theirs).await
        })
    });
    assert_eq!(seen, [udp(9)]);
    assert_eq!(got(&connect(), udp(9)).await.mark, Some(9));
}

async fn a_namespace_by_a_bound_path() {
    let peer = Peer::new().await;
    let file = namespace_of(&peer);
    // As ip-netns(8) does it, in a new mount namespace of this thread.
    unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
    let none: Option<&Path> = None;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, private, none).expect("mounts of its own");
    let directory = std::env::temp_dir();
    mount(none, &directory, Some("tmpfs"), MsFlags::empty(), none).expect("a tmpfs");
    let path = directory.join("blue");
    File::create(&path).expect("a file");
    let source = format!("/proc/self/fd/{}", file.as_raw_fd());
    mount(Some(&*source), &path, none, MsFlags::MS_BIND, none).expect("a bind mount");
    drop(file);
    reaches(&peer, &within(path)).await;
}

async fn a_namespace_by_a_file() {
    let peer = Peer::new().await;
    reaches(&peer, &within(namespace_of(&peer))).await;
    reaches(&peer, &within(OwnedFd::from(namespace_of(&peer)))).await;
}

/// Its walks stay too, which open their own sockets.
async fn a_handle_stays_where_it_was_opened() {
    let peer = Peer::new().await;
    let handle = connect();
    create(&handle, new(udp(1))).await;
    create(&handle, new(udp6(1))).await;
    let inside = peer.run(|| {
        block_on(async {
            let theirs = connect();
            create(&theirs, new(tcp6(1))).await;
            let seen = tuples(&handle).await;
            let flush = handle.flush(Table::Conntrack).family(Family::Ipv6);
            flush.await.expect("a flush");
            (seen, tuples(&theirs).await)
        })
    });
    assert_eq!(inside, (sorted(vec![udp(1), udp6(1)]), vec![tcp6(1)]));
    assert_eq!(tuples(&handle).await, [udp(1)]);
}

async fn a_namespace_that_is_none() {
    let open = |path: &str| Options::new().network_namespace(path).new_connection();
    let names = ["/no/such/namespace", "No such file"];
    let error = refused(open("/no/such/namespace"), ErrorKind::Io, &names);
    assert_eq!(error.errno(), Some(nix::libc::ENOENT));
    // The file exists, and the error is not about a flow.
    assert!(!error.is_not_found());
    refused(open("/dev/null"), ErrorKind::Io, &["network namespace"]);
    // Another kind of namespace.
    let other = open("/proc/self/ns/uts");
    refused(other, ErrorKind::Io, &["network namespace"]);
}

async fn a_request_has_a_timeout() {
    let options = Options::new().request_timeout(Duration::from_millis(50));
    // The connection is not polled, so there is no answer.
    let (_connection, handle) = options.new_connection().expect("a connection");
    let got = handle.get(udp(1)).await;
    let names = ["getting a flow", "50ms", "not being polled"];
    let error = refused(got, ErrorKind::Timeout, &names);
    assert!(error.is_timeout());
    assert_eq!(error.errno(), None);
    let marked = handle.set_mark(udp(1), 1).await;
    refused(marked, ErrorKind::Timeout, &["marking a flow"]);
}

async fn a_walk_has_a_timeout() {
    // The kernel answers after its walk, and it does not walk an empty table.
    create(&connect(), new(udp(1))).await;
    let options = Options::new().request_timeout(Duration::ZERO);
    let handle = options.connect().await.expect("a connection");
    // An answer at the first poll counts, and the thread may be that fast.
    let mut listed = handle.list(Table::Conntrack).await;
    while listed.is_ok() {
        listed = handle.list(Table::Conntrack).await;
    }
    let error = refused(listed, ErrorKind::Timeout, &["listing the table"]);
    assert!(error.is_timeout());
    let mut flushed = handle.flush(Table::Conntrack).await;
    while flushed.is_ok() {
        create(&connect(), new(udp(1))).await;
        flushed = handle.flush(Table::Conntrack).await;
    }
    refused(flushed, ErrorKind::Timeout, &["flushing the table"]);
}

async fn needs_no_runtime() {
    let opened = thread::spawn(ctnetlink::new_connection);
    let (connection, handle) = opened.join().expect("an answer").expect("a connection");
    tokio::spawn(connection);
    assert!(tuples(&handle).await.is_empty());
}
