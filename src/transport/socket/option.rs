//! Socket options that nix does not name.

use nix::libc;
use nix::sys::socket::sockopt::GetStruct;

use crate::wire::uapi::SO_NETNS_COOKIE;

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
