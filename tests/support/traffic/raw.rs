use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, recv, sendto,
    setsockopt, socket,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::super::patience;
use super::packet;

const ECHO_REPLY_V4: u8 = 0;
const ECHO_REPLY_V6: u8 = 129;

/// An ICMP or ICMPv6 echo request with identifier `id`. It returns after the reply has arrived.
pub fn ping(from: IpAddr, to: IpAddr, id: u16) -> io::Result<()> {
    let (protocol, reply) = match to {
        IpAddr::V4(_) => (SockProtocol::Icmp, ECHO_REPLY_V4),
        IpAddr::V6(_) => (SockProtocol::IcmpV6, ECHO_REPLY_V6),
    };
    let socket = open(to, protocol)?;
    bind(socket.as_raw_fd(), &address(from))?;
    setsockopt(
        &socket,
        ReceiveTimeout,
        &TimeVal::seconds(patience::answer().as_secs() as i64),
    )?;
    send(&socket, to, &packet::echo_request(to.is_ipv6(), id))?;
    let mut buffer = [0; 256];
    loop {
        let received = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        // Only IPv4 returns the IP header too.
        let header = if to.is_ipv4() {
            usize::from(buffer[0] & 15) * 4
        } else {
            0
        };
        let message = buffer[..received].get(header..).unwrap_or_default();
        if message.first() == Some(&reply) && message.get(4..6) == Some(&id.to_be_bytes()) {
            return Ok(());
        }
    }
}

/// One IP packet of any protocol; see [`packet`] for payloads. The other side does not need to know the protocol.
pub fn raw(protocol: u8, src: IpAddr, dst: IpAddr, payload: &[u8]) -> io::Result<()> {
    send(
        &open(dst, SockProtocol::Raw)?,
        dst,
        &packet::ip(protocol, src, dst, payload),
    )
}

fn open(like: IpAddr, protocol: SockProtocol) -> io::Result<OwnedFd> {
    let family = if like.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    Ok(socket(
        family,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        protocol,
    )?)
}

fn send(socket: &OwnedFd, to: IpAddr, bytes: &[u8]) -> io::Result<()> {
    sendto(socket.as_raw_fd(), bytes, &address(to), MsgFlags::empty())?;
    Ok(())
}

/// To a raw socket, the port is a protocol number. 0 means the protocol of the socket.
fn address(ip: IpAddr) -> SockaddrStorage {
    SocketAddr::new(ip, 0).into()
}
