//! Network namespaces: each test has its own.

use std::future::Future;
use std::{fs, io, panic, thread};

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

use super::{loopback, nft, patience};

/// Makes this process able to create network namespaces, or returns why that is not possible.
///
/// Without root, it moves the process into a new user and network namespace. This works only while the process has a
/// single thread.
pub fn enter() -> Result<(), String> {
    if !geteuid().is_root() {
        enter_user_namespace()?;
    }
    // On a new thread, so that this one stays in its namespace.
    thread::spawn(prepare)
        .join()
        .unwrap_or_else(|_| Err("the attempt at a network namespace panicked".into()))
}

fn enter_user_namespace() -> Result<(), String> {
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET).map_err(no_user_namespace)?;
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {uid} 1")),
        ("gid_map", format!("0 {gid} 1")),
    ] {
        fs::write(format!("/proc/self/{file}"), text).map_err(|error| {
            format!(
                "cannot write /proc/self/{file}: {error}; {}",
                user_namespace_settings()
            )
        })?;
    }
    Ok(())
}

fn no_user_namespace(errno: Errno) -> String {
    match errno {
        Errno::EINVAL => {
            "cannot create a user namespace: this process has more than one thread (EINVAL)".into()
        }
        _ => format!(
            "cannot create a user namespace: {errno}; {}",
            user_namespace_settings()
        ),
    }
}

/// The settings that can disable user namespaces, and their values.
fn user_namespace_settings() -> String {
    let settings = [
        "user.max_user_namespaces",
        "kernel.unprivileged_userns_clone",
        "kernel.apparmor_restrict_unprivileged_userns",
    ]
    .map(|name| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        let value = fs::read_to_string(path);
        format!(
            "{name} = {}",
            value.as_deref().map_or("(absent)", str::trim)
        )
    });
    format!(
        "look at {}{}, or run as root",
        settings.join(", "),
        seccomp()
    )
}

/// The seccomp profile of container engines forbids user namespaces without CAP_SYS_ADMIN.
fn seccomp() -> &'static str {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    match status.lines().any(|line| line == "Seccomp:\t2") {
        true => {
            ", and at the seccomp profile (a filter is in force: a container engine's default forbids it)"
        }
        false => "",
    }
}

/// Moves this thread into a new network namespace, and prepares it for a test.
pub fn prepare() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| {
        format!("cannot create a network namespace: {errno}; CAP_SYS_ADMIN is missing?")
    })?;
    loopback::set_up().map_err(|error| format!("cannot set the loopback link up: {error}"))?;
    for name in [
        "nf_conntrack_events",
        "nf_conntrack_acct",
        "nf_conntrack_timestamp",
    ] {
        let written = match sysctl(name, "1") {
            // The module nf_conntrack is not loaded yet. A rule that needs it loads it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                nft::track()
                    .and_then(nft::Table::delete)
                    .map_err(|refused| refused.to_string())?;
                sysctl(name, "1")
            }
            written => written,
        };
        written.map_err(|error| {
            format!("cannot set net.netfilter.{name}: {error}; is /proc/sys read-only?")
        })?;
    }
    Ok(())
}

/// Runs `f` on a new thread in a new network namespace. There `lo` is up, and conntrack's events, accounting and
/// timestamps are on. A panic of `f` is resumed in the caller.
pub fn isolated<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    let body = move || {
        prepare().unwrap_or_else(|reason| panic!("{reason}"));
        f()
    };
    let thread = thread::Builder::new()
        .name("isolated".into())
        .spawn(body)
        .expect("a thread");
    thread
        .join()
        .unwrap_or_else(|payload| panic::resume_unwind(payload))
}

/// Runs `f` on a current-thread runtime, for at most a minute (longer on a slow machine). The deadline cannot stop code
/// that blocks the thread.
pub fn block_on<F: Future>(f: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = Runtime(Some(runtime.expect("a runtime")));
    let deadline = patience::secs(60);
    let within = async { tokio::time::timeout(deadline, f).await };
    let driven = runtime
        .0
        .as_ref()
        .map(|runtime| runtime.block_on(within))
        .expect("a runtime");
    driven.unwrap_or_else(|_| panic!("not finished after {deadline:?}"))
}

/// Limits the wait for the blocking threads of a runtime. The runtime's own drop waits forever, so a thread that hangs
/// would stop all tests.
struct Runtime(Option<tokio::runtime::Runtime>);

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_timeout(patience::secs(5));
        }
    }
}

/// Sets `net.netfilter.<name>` in the network namespace of this thread.
pub fn sysctl(name: &str, value: &str) -> io::Result<()> {
    set(&format!("net/netfilter/{name}"), value)
}

/// Changes a setting in `/proc/sys`, for example one of the network namespace of this thread.
pub fn set(path: &str, value: &str) -> io::Result<()> {
    fs::write(format!("/proc/sys/{path}"), value)
}
