//! Connections to another network namespace than the caller's.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::thread;

use ctnetlink::{NetworkNamespace, Options, Table};
use libtest_mimic::Trial;
use nix::sched::{CloneFlags, setns};

use super::{alone, connect, fill, list, rest, udp, until};
use crate::common::{namespace, threads_in};
use crate::support::namespace::block_on;

pub(super) fn tests() -> Vec<Trial> {
    alone!("lanes::elsewhere":
        a_namespace_by_its_file,
        a_namespace_by_its_path,
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

/// Walks are in the namespace that the connection was made for, wherever they are started.
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
    // The handle's connection is this thread's to drive.
    until(|| inside.is_finished(), || "it hangs".into()).await;
    assert_eq!(inside.join().expect("a thread"), (3, 0));
}
