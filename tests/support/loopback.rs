//! The loopback link of this thread's network namespace. The tour needs no other link, and should
//! not have to build rtnetlink, so this one message is written by hand.

use std::io;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::libc::{IFF_UP, NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR, RTM_NEWLINK};

/// `lo` has this index in every network namespace.
const INDEX: u32 = 1;

/// Sets `lo` up.
pub fn set_up() -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&request(), 0)?;
    let mut reply = Vec::with_capacity(1 << 12);
    socket.recv(&mut reply, 0)?;
    // The number of the error follows the header. It is 0 in an ACK.
    let word = |at| reply.get(at..at + 4).and_then(|word| word.try_into().ok());
    let kind = word(4).map(|[low, high, ..]: [u8; 4]| u16::from_ne_bytes([low, high]));
    match (kind.map(i32::from), word(16).map(i32::from_ne_bytes)) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(code)) => Err(io::Error::from_raw_os_error(-code)),
        _ => Err(io::Error::other(format!("not an answer: {reply:?}"))),
    }
}

/// A `struct nlmsghdr`, and a `struct ifinfomsg`.
fn request() -> [u8; 32] {
    let mut bytes = [0; 32];
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    bytes[4..6].copy_from_slice(&RTM_NEWLINK.to_ne_bytes());
    bytes[6..8].copy_from_slice(&((NLM_F_REQUEST | NLM_F_ACK) as u16).to_ne_bytes());
    bytes[20..24].copy_from_slice(&INDEX.to_ne_bytes());
    for flags in [24..28, 28..32] {
        bytes[flags].copy_from_slice(&(IFF_UP as u32).to_ne_bytes());
    }
    bytes
}
