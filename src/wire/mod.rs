//! Bytes: what goes over a netlink socket, without socket, task or runtime.

#[macro_use]
pub(crate) mod attr;
pub(crate) mod bpf;
mod context;
mod fault;
pub(crate) mod message;
#[macro_use]
pub(crate) mod table;
pub(crate) mod uapi;

#[cfg(all(test, target_endian = "little"))]
pub(crate) mod golden;
