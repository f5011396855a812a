//! A process that loses `CAP_NET_ADMIN` while its connection is open.

use std::future::IntoFuture;

use ctnetlink::{Change, ConntrackHandle, ErrorKind, Patch, Table};
use futures::future::join_all;
use libtest_mimic::Trial;
use nix::sched::{CloneFlags, unshare};

use super::{Held, connect, fill, new, udp};
use crate::right::{self, give_up, take_back};

pub(super) fn tests() -> Vec<Trial> {
    vec![
        right::trial("lanes::right::lost_on_the_way", lost_on_the_way),
        right::trial(
            "lanes::right::lost_before_the_namespace_is_entered",
            lost_before_the_namespace_is_entered,
        ),
    ]
}

async fn lost_on_the_way() {
    let handle = connect();
    fill(&handle, 300).await;
    let held = Held::at_rest().await;
    let back = give_up().await;

    for others in [1, 2, 64, 65, 128, 300, 128, 128] {
        refused(&handle, others).await;
    }
    for walk in [
        handle.list(Table::Conntrack).await.map(drop),
        handle.flush(Table::Conntrack).await,
    ] {
        let error = walk.expect_err("no right");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    }
    let error = ctnetlink::connect().await.expect_err("no right");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    held.again().await;

    if back {
        take_back();
        for n in 0..300 {
            let flow = handle
                .get(udp(n))
                .await
                .expect("an answer")
                .expect("a flow");
            assert_eq!(flow.mark, Some(0));
        }
    }
}

/// A separate lane is opened in the handle's namespace, which the thread may not enter.
async fn lost_before_the_namespace_is_entered() {
    let handle = connect();
    handle.create(new(1)).await.expect("a flow");
    unshare(CloneFlags::CLONE_NEWNET).expect("another namespace");
    give_up().await;
    let change = Change::update(udp(1), Patch::new().mark(7));
    for begun in [
        handle.bulk([change]).await.map(drop),
        handle.get_many([udp(1)]).await.map(drop),
        handle.list(Table::Conntrack).await.map(drop),
        handle.flush(Table::Conntrack).await,
        handle.events().await.map(drop),
    ] {
        let error = begun.expect_err("no right");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    }
}

/// Sends this many requests at once. All must be refused, for the right reason.
async fn refused(handle: &ConntrackHandle, requests: u16) {
    let marks = (0..requests).map(|n| handle.set_mark(udp(n), 9).into_future());
    for (n, result) in join_all(marks).await.into_iter().enumerate() {
        let error = result.expect_err("no right");
        assert_eq!(
            error.kind(),
            ErrorKind::PermissionDenied,
            "request {n} of {requests}: {error}"
        );
        assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
    }
}
