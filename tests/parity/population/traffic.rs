//! Flows from packets over the loopback device.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};

use tokio::io::AsyncWriteExt;

use crate::support::traffic::{TcpPair, UdpPair, packet, ping, raw, ruled, udp};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Connections that stay open.
pub struct Open(#[expect(dead_code, reason = "held, not read")] Vec<TcpPair>);

/// Sends all packets.
pub async fn start() -> Open {
    ruled::rules();
    let mut open = Vec::new();
    for ip in [V4, V6] {
        open.push(TcpPair::connect(at(ip, 0)).await.expect("a connection"));
        let ended = TcpPair::connect(at(ip, 0)).await.expect("a connection");
        ended.close().await.expect("to close");
        let mut half = TcpPair::connect(at(ip, 0)).await.expect("a connection");
        half.client.shutdown().await.expect("to close one side");
        open.push(half);
        // No socket listens, so the answer is a reset.
        TcpStream::connect(at(ip, 9)).expect_err("a connection to nobody");

        udp(None, at(ip, 9)).expect("a datagram");
        let mut pair = UdpPair::new(at(ip, 0)).expect("sockets");
        pair.send().expect("a question");
        pair.reply().expect("an answer");

        ping(ip, ip, 77).expect("an echo");
        raw(packet::GRE, ip, ip, &packet::gre_pptp(5)).expect("GRE");
        raw(packet::OSPF, ip, ip, b"hello").expect("OSPF");
        raw(packet::SCTP, ip, ip, &packet::sctp_init(1, 2, 3)).expect("SCTP");
        let lite = packet::udplite(at(ip, 1), at(ip, 2), b"hello");
        raw(packet::UDPLITE, ip, ip, &lite).expect("UDP-Lite");

        ruled::packets(ip);
        udp(None, at(ip, 9021)).expect("a datagram");
    }
    ruled::translated();
    Open(open)
}

fn at(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip, port)
}
