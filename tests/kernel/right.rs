//! Tests of a process that loses `CAP_NET_ADMIN` over its network namespace.

use std::env;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Uid, seteuid};

use crate::support::namespace::{block_on, isolated};

pub(crate) const NOBODY: u32 = 65534;

/// A test on the first thread of a new process. The whole process gives up the right.
pub(crate) fn trial<F>(name: &'static str, body: fn() -> F) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    Trial::test(name, move || {
        if env::var_os(crate::ALONE).is_some() {
            block_on(body());
            return Ok(());
        }
        let output = isolated(move || {
            crate::command()
                .and_then(|mut command| {
                    let arguments = ["--exact", name, "--test-threads=1"];
                    command.args(arguments).env(crate::ALONE, "1").output()
                })
                .map_err(Failed::from)
        })?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stdout).into()),
        }
    })
}

/// Gives up the right over this network namespace. Returns whether [`take_back`] can restore it.
pub(crate) async fn give_up() -> bool {
    match seteuid(Uid::from_raw(NOBODY)) {
        Ok(()) => return true,
        // In a user namespace without such a user.
        Err(Errno::EINVAL) => {}
        Err(errno) => panic!("cannot become nobody: {errno}"),
    }
    // A child user namespace has no right over its parent. Only a process with one thread can enter
    // it, and the thread that looked for obstacles may still be ending.
    for _ in 0..100 {
        match unshare(CloneFlags::CLONE_NEWUSER) {
            Ok(()) => return false,
            Err(Errno::EINVAL) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(errno) => panic!("cannot enter a user namespace: {errno}"),
        }
    }
    panic!("this process has more than one thread");
}

/// Becomes root again.
pub(crate) fn take_back() {
    seteuid(Uid::from_raw(0)).expect("to be root again");
}
