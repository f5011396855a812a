//! The bytes of netlink messages. Nothing here needs a socket, a task or a runtime.

#![allow(
    clippy::unnecessary_lazy_evaluations,
    reason = "an error that is made to be dropped takes a sixth of the time of decoding"
)]

#[macro_use]
pub(crate) mod attr;
pub(crate) mod bpf;
mod context;
mod fault;
pub(crate) mod message;
#[macro_use]
pub(crate) mod table;
pub(crate) mod uapi;
pub(crate) mod usual;

#[cfg(all(test, target_endian = "little"))]
pub(crate) mod golden;
