//! The nouns, encoded and decoded.

pub(crate) mod arbitrary;
#[cfg(target_endian = "little")]
mod golden;
mod identity;
mod leniency;
#[cfg(all(feature = "netlink-packet", target_endian = "little"))]
mod packet;
mod usual;

use super::Flow;
use crate::wire::attr::align4;
use crate::wire::message::Request;
use crate::wire::uapi::IPCTNL_MSG_CT_NEW;

/// The flow as a message of the kernel.
pub(crate) fn message(flow: &Flow) -> Vec<u8> {
    Request::new(IPCTNL_MSG_CT_NEW, 0, flow.family().number())
        .with(|w| flow.write(&flow.zone.context(), w))
        .finish(1)
}

/// Where the bytes of a nest of attributes are, in a message; the innermost last.
pub(crate) fn at(bytes: &[u8], path: &[u16]) -> usize {
    let mut at = 20;
    for (depth, kind) in path.iter().enumerate() {
        loop {
            let number = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
            if number(at + 2) & 0x3fff == *kind {
                break;
            }
            at += align4(number(at).into());
        }
        at += if depth + 1 < path.len() { 4 } else { 0 };
    }
    at
}

/// The message with an unknown number for the attribute at the path.
pub(crate) fn hidden(mut message: Vec<u8>, path: &[u16]) -> Vec<u8> {
    let at = at(&message, path);
    message[at + 2..at + 4].copy_from_slice(&0x0fff_u16.to_ne_bytes());
    message
}
