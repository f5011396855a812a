//! A second host.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::{panic, thread};

use nix::sched::{CloneFlags, setns};

use super::link;
use super::namespace::{block_on, prepare};

/// The link on this side.
pub const NEAR: &str = "va";
const FAR: &str = "vb";
/// The link to the host beyond.
pub const NEAR_BEYOND: &str = "wa";

/// A link, and its addresses.
type End = (&'static str, (IpAddr, IpAddr));

/// A second network namespace, connected to this one by a veth pair (`va` here, `vb` there).
///
/// A socket stays in the namespace in which it was opened: `peer.run(|| UdpSocket::bind(..))` returns a socket of the
/// peer.
pub struct Peer {
    namespace: File,
}

impl Peer {
    /// Our IPv4 address.
    pub const NEAR_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    /// Our IPv6 address.
    pub const NEAR_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
    /// The peer's IPv4 address.
    pub const FAR_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
    /// The peer's IPv6 address.
    pub const FAR_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2));

    /// Our IPv4 address in the network of the host [`beyond`](Self::beyond).
    pub const NEAR_BEYOND: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
    /// The IPv4 address of the host beyond.
    pub const BEYOND: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2));

    /// Makes the namespace, and connects it to the namespace of this thread. Both families can be used at once.
    pub async fn new() -> Self {
        let near = (Self::NEAR_V4, Self::NEAR_V6);
        Self::join((NEAR, near), (FAR, (Self::FAR_V4, Self::FAR_V6))).await
    }

    /// Makes another host, in another network.
    pub async fn beyond() -> Self {
        let v6 = |host| Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, host).into();
        let near = (Self::NEAR_BEYOND, v6(1));
        Self::join((NEAR_BEYOND, near), ("wb", (Self::BEYOND, v6(2)))).await
    }

    async fn join((near, near_at): End, (far, far_at): End) -> Self {
        let open = || {
            prepare().unwrap_or_else(|reason| panic!("{reason}"));
            File::open("/proc/thread-self/ns/net").expect("the peer's network namespace")
        };
        let peer = Self {
            namespace: on_thread(open),
        };
        link::add_veth(near, far, peer.namespace.as_fd()).await;
        link::set_up(near).await;
        peer.run(|| {
            block_on(async {
                link::set_up(far).await;
                address(far, far_at).await;
            });
        });
        address(near, near_at).await;
        peer
    }

    /// Runs `f` on a thread inside the peer's namespace, and waits for it.
    pub fn run<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        on_thread(|| {
            setns(&self.namespace, CloneFlags::CLONE_NEWNET)
                .expect("to enter the peer's network namespace");
            f()
        })
    }
}

async fn address(link: &str, (v4, v6): (IpAddr, IpAddr)) {
    link::running(link).await;
    link::add_address(link, v4, 24).await;
    link::add_address(link, v6, 64).await;
}

fn on_thread<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(f).join())
        .unwrap_or_else(|payload| panic::resume_unwind(payload))
}
