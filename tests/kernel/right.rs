//! Tests of a process that loses `CAP_NET_ADMIN` over its network namespace.

use std::env;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Uid, seteuid};

use crate::support::namespace::{block_on, isolated};

pub(crate) const NOBODY: u32 = 65534;

/// A test in a process of its own, and on its first thread: it is to lose the right as a whole.
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

/// Gives up the right over this network namespace. Can it be [had back](take_back)?
pub(crate) async fn give_up() -> bool {
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

/// Root again.
pub(crate) fn take_back() {
    seteuid(Uid::from_raw(0)).expect("to be root again");
}
