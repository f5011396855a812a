//! Socket options that nix does not name.

use nix::libc;
use nix::sys::socket::sockopt::GetStruct;

use crate::wire::uapi::{SO_MEMINFO, SO_NETNS_COOKIE};

/// The number of the socket's network namespace.
#[derive(Debug, Clone, Copy)]
pub(super) struct NamespaceCookie;

nix::getsockopt_impl!(
    NamespaceCookie,
    libc::SOL_SOCKET,
    SO_NETNS_COOKIE,
    u64,
    GetStruct<u64>
);

/// The queues of the socket in bytes, and its drops: the kernel's `sk_meminfo`. Only the first two
/// numbers and the last are used here.
#[derive(Debug, Clone, Copy)]
pub(super) struct MemInfo;

nix::getsockopt_impl!(
    MemInfo,
    libc::SOL_SOCKET,
    SO_MEMINFO,
    [u32; 9],
    GetStruct<[u32; 9]>
);
