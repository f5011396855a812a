//! The nouns as bytes, both ways.

pub(crate) mod arbitrary;
#[cfg(target_endian = "little")]
mod golden;
mod identity;
mod leniency;
#[cfg(all(feature = "netlink-packet", target_endian = "little"))]
mod packet;

use super::Flow;
use crate::wire::message::Request;
use crate::wire::uapi::IPCTNL_MSG_CT_NEW;

/// The flow as a message of the kernel.
pub(crate) fn message(flow: &Flow) -> Vec<u8> {
    Request::new(IPCTNL_MSG_CT_NEW, 0, flow.family().number())
        .with(|w| flow.write(&flow.zone.context(), w))
        .finish(1)
}
