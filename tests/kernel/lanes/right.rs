//! A process that loses its right while its connection is open.

use std::env;
use std::future::IntoFuture;
use std::time::Duration;

use ctnetlink::{ConntrackHandle, ErrorKind, Table};
use futures::future::join_all;
use libtest_mimic::{Failed, Trial};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Uid, seteuid};

use super::{Held, connect, fill, udp};
use crate::support::namespace::{block_on, isolated};

const NAME: &str = "lanes::right::lost_on_the_way";
const NOBODY: u32 = 65534;

/// In a process of its own, and on its first thread: it is to lose the right as a whole.
pub(super) fn tests() -> Vec<Trial> {
    vec![Trial::test(NAME, || {
        if env::var_os(crate::ALONE).is_some() {
            block_on(lost_on_the_way());
            return Ok(());
        }
        let output = isolated(|| {
            crate::command()
                .and_then(|mut command| {
                    let arguments = ["--exact", NAME, "--test-threads=1"];
                    command.args(arguments).env(crate::ALONE, "1").output()
                })
                .map_err(Failed::from)
        })?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stdout).into()),
        }
    })]
}

/// Gives up the right over this network namespace. Can it be had back?
async fn give_up() -> bool {
    match seteuid(Uid::from_raw(NOBODY)) {
        Ok(()) => return true,
        // In a user namespace, which has no such user.
        Err(Errno::EINVAL) => {}
        Err(errno) => panic!("cannot become nobody: {errno}"),
    }
    // A namespace below has no right over what is above. Only one thread can go there, and the one
    // that looked for obstacles may still be on its way out.
    for _ in 0..100 {
        match unshare(CloneFlags::CLONE_NEWUSER) {
            Ok(()) => return false,
            Err(Errno::EINVAL) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(errno) => panic!("cannot enter a user namespace: {errno}"),
        }
    }
    panic!("this process has more than one thread");
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
    let error = ctnetlink::connect().expect_err("no right");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    held.again().await;

    if back {
        seteuid(Uid::from_raw(0)).expect("to be root again");
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

/// So many requests at once are all refused, and for the reason that holds.
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
