//! Without `CAP_NET_ADMIN`, the first error names the missing right.

use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs, process};

use ctnetlink::{ConntrackHandle, ErrorKind, Filter, FilterBuilder, Masked, Patch, Table};
use futures::future::join_all;
use libtest_mimic::Trial;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Uid, setuid};

use super::{HOUR, connect, create, list, mark_of, new, refused, tcp, tuples, udp};
use crate::support::namespace::block_on;

/// Set in a process that must have no right over its network namespace.
const STRANGER: &str = "CTNETLINK_TEST_STRANGER";

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["rights":
        a_stranger_is_told_what_is_lacking,
    ]
}

/// A process that gives up the right cannot get it back, so this runs in another process.
async fn a_stranger_is_told_what_is_lacking() {
    let handle = connect();
    create(&handle, new(tcp(1)).mark(1)).await;
    let child = crate::command().and_then(|mut child| child.env(STRANGER, "1").output());
    let child = child.expect("a process");
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{said}");
    // No request has changed anything.
    assert_eq!(tuples(&handle).await, [tcp(1)]);
    assert_eq!(mark_of(&handle, tcp(1)).await, 1);
}

pub(crate) fn is_stranger() -> bool {
    env::var_os(STRANGER).is_some()
}

/// The work of the process without the right. It fails by a panic.
pub(crate) fn stranger() -> ExitCode {
    block_on(async {
        let before = connect();
        list(&before).await;
        // The thread of the walk ends shortly after its stream.
        while fs::read_dir("/proc/self/task").expect("threads").count() > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        lose_rights();
        opening_fails().await;
        requests_fail(&before).await;
        walks_fail(&before).await;
    });
    ExitCode::SUCCESS
}

/// Enters a user namespace that does not own the network namespace.
fn lose_rights() {
    if unshare(CloneFlags::CLONE_NEWUSER).is_err() {
        setuid(Uid::from_raw(65_534)).expect("to become nobody");
    }
    let links = fs::read_to_string("/proc/self/status").expect("the status");
    assert!(links.contains("Threads:\t1\n"), "process {}", process::id());
}

/// The words that the error must contain.
const LACKING: [&str; 2] = ["CAP_NET_ADMIN", "user namespace"];

async fn opening_fails() {
    for opened in [
        ctnetlink::connect().await.map(drop),
        ctnetlink::new_connection().map(drop),
        ctnetlink::Options::new().connect().await.map(drop),
    ] {
        let error = refused(opened, ErrorKind::PermissionDenied, &LACKING);
        assert!(error.is_permission_denied());
        assert_eq!(error.errno(), Some(nix::libc::EPERM));
        assert!(!error.is_not_found() && !error.is_closed());
    }
}

/// The kernel answers only the first message of a datagram.
async fn requests_fail(handle: &ConntrackHandle) {
    let denied = |result| refused(result, ErrorKind::PermissionDenied, &LACKING);
    denied(handle.get(tcp(1)).await.map(drop));
    denied(handle.set_mark(tcp(1), 7).await);
    denied(handle.update(tcp(1)).timeout(HOUR).await);
    denied(handle.create(new(udp(1))).await);
    denied(handle.delete(tcp(1)).await);
    let marks = (0..200).map(|n| handle.set_mark(tcp(1), Masked::new(n, 0xff)).into_future());
    for result in join_all(marks).await {
        denied(result);
    }
}

/// The request fails, and not an item of its stream.
async fn walks_fail(handle: &ConntrackHandle) {
    for table in [Table::Conntrack, Table::Dying, Table::Unconfirmed] {
        let listed = handle.list(table).await;
        let error = refused(listed, ErrorKind::PermissionDenied, &LACKING);
        assert!(error.to_string().contains("listing the table"), "{error}");
    }
    let flushed = handle.flush(Table::Conntrack).await;
    refused(flushed, ErrorKind::PermissionDenied, &LACKING);
    // By a probe before the flush, by the flush itself, and by the list.
    let on = |filter: FilterBuilder| filter.build().expect("a filter");
    let mark = || on(Filter::builder().mark(1));
    let port = on(Filter::builder().protocol(6).orig_dst_port(443));
    for filter in [mark(), on(Filter::builder().zone(0)), port] {
        let flushed = handle.flush(Table::Conntrack).filter(filter).await;
        refused(flushed, ErrorKind::PermissionDenied, &LACKING);
    }
    let deleted = handle.delete_matching(mark()).await;
    refused(deleted, ErrorKind::PermissionDenied, &LACKING);
    let updated = handle.update_matching(mark(), Patch::new().mark(7)).await;
    refused(updated, ErrorKind::PermissionDenied, &LACKING);
}
