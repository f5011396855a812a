//! A mixed table, like that of a gateway.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::{self, Message};
use super::raw::{BATCH, Raw};

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// The kinds of flows repeat after this many.
const MIX: u32 = 16;
/// The maximum number of flows that [`fill`] can make: their addresses differ in 24 bits.
pub const MOST: usize = 1 << 24;

/// Fills the table of this thread's network namespace with `flows` flows: of 16, 9 TCP (8 established, 1 half open),
/// 1 TCP with its source translated, 1 TCP in a zone, 1 TCP over IPv6, 2 UDP, 1 UDP over IPv6, 1 ICMP or ICMPv6;
/// three in four have a mark.
pub fn fill(flows: usize) {
    fill_marked(flows, |index| (index % 4 != 3).then_some(index & 0xff));
}

/// The same flows, with the marks that `mark` gives them by their numbers, which are below `flows`.
pub fn fill_marked(flows: usize, mark: impl Fn(u32) -> Option<u32>) {
    assert!(flows <= MOST, "at most {MOST} flows");
    let mut socket = Raw::open();
    let mut datagram = Vec::new();
    let mut at = 0;
    while at < flows {
        let end = (at + BATCH).min(flows);
        datagram.clear();
        for index in at..end {
            let index = index as u32;
            create(&mut datagram, index, mark(index), index as usize + 1 == end);
        }
        socket.send(&datagram);
        socket.acknowledged(end as u32);
        at = end;
    }
}

/// Writes the request to create flow `index`, with the sequence number `index + 1`.
fn create(out: &mut Vec<u8>, index: u32, mark: Option<u32>, acknowledge: bool) {
    let kind = index % MIX;
    let v6 = matches!(kind, 12 | 15) || (kind == 13 && index / MIX % 2 == 0);
    let flags = message::CREATE | message::EXCL | if acknowledge { message::ACK } else { 0 };
    let family = if v6 { 10 } else { 2 };
    let mut message = Message::new(out, message::NEW, flags, index + 1, family);
    let (client, server) = hosts(index, v6);
    let protocol = match kind {
        0..=10 | 12 => TCP,
        13 if v6 => ICMPV6,
        13 => ICMP,
        _ => UDP,
    };
    let port = 1024 + (index % 60_000) as u16;
    message.nest(message::TUPLE_ORIG, |m| {
        tuple(m, client, server, protocol, port, false);
    });
    message.nest(message::TUPLE_REPLY, |m| {
        tuple(m, server, client, protocol, port, true);
    });
    message.put(message::TIMEOUT, &86_400_u32.to_be_bytes());
    if let Some(mark) = mark {
        message.put(message::MARK, &mark.to_be_bytes());
    }
    if protocol == TCP {
        // CONFIRMED, and also SEEN_REPLY and ASSURED unless it is half open.
        let half_open = kind == 8;
        let status: u32 = if half_open { 0x8 } else { 0xe };
        message.put(message::STATUS, &status.to_be_bytes());
        message.nest(message::PROTOINFO, |m| {
            m.nest(1, |m| {
                m.put(1, &[if half_open { 1 } else { 3 }]);
                m.put(4, &[0x0a, 0x0a]);
                m.put(5, &[0x0a, 0x0a]);
            });
        });
    }
    match kind {
        9 => message.nest(message::NAT_SRC, |m| {
            m.put(1, &translated(index).octets());
            m.nest(3, |m| m.put(1, &port.to_be_bytes()));
        }),
        10 => message.put(message::ZONE, &5_u16.to_be_bytes()),
        _ => {}
    }
}

fn hosts(index: u32, v6: bool) -> (IpAddr, IpAddr) {
    match v6 {
        true => {
            let client = Ipv6Addr::new(
                0x2001,
                0xdb8,
                0,
                1,
                0,
                0,
                (index >> 16) as u16,
                index as u16,
            );
            let server = Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, (index % 251) as u16);
            (client.into(), server.into())
        }
        false => {
            let client = Ipv4Addr::from(10 << 24 | index);
            let server = Ipv4Addr::new(192, 0, 2, (index % 251) as u8);
            (client.into(), server.into())
        }
    }
}

/// The source as the server sees it. The flows of one address have different ports.
fn translated(index: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + index / 60_000)
}

fn tuple(m: &mut Message<'_>, src: IpAddr, dst: IpAddr, protocol: u8, port: u16, reply: bool) {
    m.nest(1, |m| match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            m.put(1, &src.octets());
            m.put(2, &dst.octets());
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            m.put(3, &src.octets());
            m.put(4, &dst.octets());
        }
        _ => unreachable!("both are of one family"),
    });
    m.nest(2, |m| {
        m.put(1, &[protocol]);
        let well_known: u16 = if protocol == TCP { 443 } else { 53 };
        let (src_port, dst_port) = match reply {
            false => (port, well_known),
            true => (well_known, port),
        };
        match protocol {
            ICMP | ICMPV6 => {
                let first = if protocol == ICMP { 4 } else { 7 };
                let (query, answer) = if protocol == ICMP { (8, 0) } else { (128, 129) };
                m.put(first, &port.to_be_bytes());
                m.put(first + 1, &[if reply { answer } else { query }]);
                m.put(first + 2, &[0]);
            }
            _ => {
                m.put(2, &src_port.to_be_bytes());
                m.put(3, &dst_port.to_be_bytes());
            }
        }
    });
}
