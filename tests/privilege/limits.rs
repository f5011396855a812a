//! Rights other than for requests: receive buffers, network namespaces, sysctls.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;

use ctnetlink::Options;
use libtest_mimic::Trial;
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, getsockopt, setsockopt,
    socket, sockopt,
};
use nix::sys::statvfs::{FsFlags, statvfs};

use crate::place::Place;
use crate::support::namespace::{block_on, isolated};
use crate::trial;
use crate::verbs;

const OWN: &str = "/proc/thread-self/ns/net";
const ACCOUNTING: &str = "/proc/sys/net/netfilter/nf_conntrack_acct";

pub(crate) fn tests(place: Place) -> Vec<Trial> {
    vec![
        trial("limits::forced_receive_buffer", move || {
            forced_receive_buffer(place)
        }),
        trial("limits::event_groups", move || event_groups(place)),
        trial("limits::new_namespace", move || new_namespace(place)),
        trial("limits::other_namespace", move || other_namespace(place)),
        trial("limits::own_namespace", move || own_namespace(place)),
        trial("limits::sysctls", move || sysctls(place)),
    ]
}

/// Without the right, the kernel silently limits the size to `net.core.rmem_max`.
fn forced_receive_buffer(place: Place) -> Result<(), String> {
    // Above any sensible limit. It is only a limit, and uses no memory.
    const ASKED: usize = 256 << 20;
    let socket = netfilter();
    let granted = || getsockopt(&socket, sockopt::RcvBuf).expect("the size");
    setsockopt(&socket, sockopt::RcvBuf, &ASKED).expect("what the limit allows");
    let limited = granted();
    assert!(limited < 2 * ASKED, "rmem_max allows {limited}");

    let forced = setsockopt(&socket, sockopt::RcvBufForce, &ASKED);
    if place.forces() {
        assert_eq!(forced, Ok(()));
        assert_eq!(granted(), 2 * ASKED);
    } else {
        assert_eq!(forced, Err(Errno::EPERM));
        assert_eq!(granted(), limited);
    }
    Ok(())
}

/// The kernel checks the right only when the socket joins the group.
fn event_groups(place: Place) -> Result<(), String> {
    const NEW: u32 = 1;
    let join = || bind(netfilter().as_raw_fd(), &NetlinkAddr::new(0, NEW));
    let joined = match place.enters() {
        true => isolated(join),
        false => join(),
    };
    let expected = match place.administers() {
        true => Ok(()),
        false => Err(Errno::EPERM),
    };
    assert_eq!(joined, expected);
    Ok(())
}

fn new_namespace(place: Place) -> Result<(), String> {
    let made = thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET));
    let expected = match place.enters() {
        true => Ok(()),
        false => Err(Errno::EPERM),
    };
    assert_eq!(made.join().expect("a thread"), expected);
    Ok(())
}

fn other_namespace(place: Place) -> Result<(), String> {
    if place.enters() {
        isolated(|| {
            let other = File::open(OWN).expect("a namespace");
            block_on(async {
                verbs::leave_a_flow(&ctnetlink::connect().await.expect("a table")).await
            });
            isolated(|| block_on(enters(other)));
        });
        return Ok(());
    }
    // Even its own namespace cannot be entered, and it has no file of another one.
    let entered = thread::spawn(|| {
        let own = File::open(OWN).expect("a namespace");
        setns(own, CloneFlags::CLONE_NEWNET)
    });
    assert_eq!(entered.join().expect("a thread"), Err(Errno::EPERM));
    Ok(())
}

fn netfilter() -> OwnedFd {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkNetFilter,
    );
    socket.expect("a socket, which everybody may open")
}

async fn enters(other: File) {
    let before = fs::read_link(OWN).expect("a namespace");
    let options = Options::new().network_namespace(other);
    let theirs = options.connect().await.expect("a connection");
    assert!(verbs::has_the_flow(&theirs).await);
    assert!(!verbs::has_the_flow(&ctnetlink::connect().await.expect("a connection")).await);
    assert_eq!(fs::read_link(OWN).expect("a namespace"), before);
}

/// The namespace of the thread need not be entered, whatever name it is given by.
fn own_namespace(place: Place) -> Result<(), String> {
    let opened = move || {
        block_on(async {
            let options = Options::new().network_namespace(OWN);
            options.connect().await.map(drop)
        })
    };
    if place.enters() {
        isolated(opened).expect("a connection");
    } else if place.administers() {
        opened().expect("a connection");
    } else {
        verbs::denied(opened());
    }
    Ok(())
}

/// Engines mount /proc/sys read-only in containers that are not privileged.
fn sysctls(place: Place) -> Result<(), String> {
    if place.enters() {
        // A new namespace has its own settings, which were written when it was made, and here.
        isolated(|| fs::write(ACCOUNTING, "0")).expect("to write a sysctl");
        return Ok(());
    }
    let value = fs::read_to_string(ACCOUNTING)
        .map_err(|error| format!("{ACCOUNTING}: {error}; is nf_conntrack loaded?"))?;
    let mount = statvfs(ACCOUNTING).expect("the mount of /proc/sys");
    let read_only = mount.flags().contains(FsFlags::ST_RDONLY);
    // Write the same value, because others may use this namespace.
    let written = fs::write(ACCOUNTING, &value).map_err(|error| error.raw_os_error());
    if place.administers() && !read_only {
        assert_eq!(written, Ok(()));
    } else {
        let errno = match read_only {
            true => Errno::EROFS,
            false => Errno::EACCES,
        };
        assert_eq!(written, Err(Some(errno as i32)));
    }
    Ok(())
}
