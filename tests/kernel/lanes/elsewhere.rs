//! Connections to a network namespace other than the caller's.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::thread;

use ctnetlink::{NetworkNamespace, Options, Table};
use libtest_mimic::Trial;
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{getsockopt, sockopt};

use super::{alone, connect, fill, list, new, rest, udp, until};
use crate::common::{namespace, threads_in};
use crate::support::namespace::block_on;

pub(super) fn tests() -> Vec<Trial> {
    alone!("lanes::elsewhere":
        a_namespace_by_its_file,
        a_namespace_by_its_path,
        a_namespace_by_a_process,
        a_handle_on_a_thread_elsewhere,
    )
}

/// Is this thread in this namespace?
fn is_here(namespace: &File) -> bool {
    let here = fs::metadata("/proc/thread-self/ns/net").expect("our namespace");
    here.ino() == namespace.metadata().expect("metadata").ino()
}

async fn a_namespace_by_its_file() {
    let other = namespace();
    let file = other.try_clone().expect("a file");
    all_verbs(other, file.into()).await;
}

async fn a_namespace_by_its_path() {
    use std::os::fd::AsRawFd;
    let other = namespace();
    let path = format!("/proc/self/fd/{}", other.as_raw_fd());
    all_verbs(other, path.into()).await;
}

/// A descriptor of this process. Its first thread is in another namespace than this one.
async fn a_namespace_by_a_process() {
    let (ours, _theirs) = UnixStream::pair().expect("two sockets");
    let process = match getsockopt(&ours, sockopt::PeerPidfd) {
        Ok(process) => process,
        // This gets the descriptor without `unsafe`, since Linux 6.5.
        Err(errno) => return assert_eq!(errno, Errno::ENOPROTOOPT),
    };
    let first = Options::new().network_namespace("/proc/self/ns/net");
    let first = first.connect().await.expect("a connection");
    let named = Options::new().network_namespace(process);
    let named = named.connect().await.expect("a connection");
    named.create(new(64_123)).await.expect("a flow");
    let found = first.get(udp(64_123)).await.expect("an answer");
    let here = connect().get(udp(64_123)).await.expect("an answer");
    named.delete(udp(64_123)).await.expect("a delete");
    assert!(found.is_some() && here.is_none());

    // The error names a descriptor of something else.
    let other = File::open("/proc/self/ns/uts").expect("a file");
    let refused = Options::new().network_namespace(other).new_connection();
    let said = refused.expect_err("no namespace").to_string();
    assert!(
        said.contains("the file descriptor is not a network namespace"),
        "{said}"
    );
}

async fn all_verbs(other: File, name: NetworkNamespace) {
    let own = File::open("/proc/thread-self/ns/net").expect("our namespace");
    let ours = threads_in(&own);
    let here = connect();
    fill(&here, 2).await;
    let there = Options::new().network_namespace(name);
    let there = there.connect().await.expect("a connection");
    fill(&there, 5).await;
    there.set_mark(udp(1), 9).await.expect("a mark");
    let mark = |flow: Option<ctnetlink::Flow>| flow.expect("a flow").mark;
    assert_eq!(mark(there.get(udp(1)).await.expect("an answer")), Some(9));
    assert_eq!(mark(here.get(udp(1)).await.expect("an answer")), Some(0));

    assert_eq!(rest(list(&there).await).await, 5);
    assert_eq!(rest(list(&here).await).await, 2);
    there.flush(Table::Conntrack).await.expect("a flush");
    assert_eq!(rest(list(&there).await).await, 0);
    assert_eq!(rest(list(&here).await).await, 2);

    assert!(is_here(&own));
    let here_alone = || threads_in(&other) == 0 && threads_in(&own) == ours;
    until(here_alone, || "a thread is astray".into()).await;
}

/// A walk works in the namespace of its connection, whichever thread starts it.
async fn a_handle_on_a_thread_elsewhere() {
    let handle = connect();
    fill(&handle, 3).await;
    let other = namespace();
    let inside = thread::spawn(move || {
        setns(&other, CloneFlags::CLONE_NEWNET).expect("to enter the other namespace");
        let found = block_on(async {
            let theirs = rest(list(&connect()).await).await;
            (rest(list(&handle).await).await, theirs)
        });
        assert!(is_here(&other));
        found
    });
    // This thread polls the connection.
    until(|| inside.is_finished(), || "it hangs".into()).await;
    assert_eq!(inside.join().expect("a thread"), (3, 0));
}
