//! Flows from packets over the loopback device.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};

use tokio::io::AsyncWriteExt;

use crate::support::nft::{self, Port};
use crate::support::traffic::{TcpPair, UdpPair, packet, ping, raw, udp};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Connections that stay open.
pub struct Open(#[expect(dead_code, reason = "held, not read")] Vec<TcpPair>);

/// Sends it all.
pub async fn start() -> Open {
    rules();
    let mut open = Vec::new();
    for ip in [V4, V6] {
        open.push(TcpPair::connect(at(ip, 0)).await.expect("a connection"));
        let ended = TcpPair::connect(at(ip, 0)).await.expect("a connection");
        ended.close().await.expect("to close");
        let mut half = TcpPair::connect(at(ip, 0)).await.expect("a connection");
        half.client.shutdown().await.expect("to close one side");
        open.push(half);
        // Nobody listens: a reset answers.
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

        for port in [9001, 9002, 9003, 9004, 9021] {
            udp(None, at(ip, port)).expect("a datagram");
        }
    }
    for (port, behind) in [(9011, 9011), (9012, 9013)] {
        let server = UdpSocket::bind(at(V4, behind)).expect("a server");
        let pair = UdpPair::through(server, None, at(V4, port));
        pair.expect("sockets").send().expect("a question");
    }
    Open(open)
}

/// What the rules do goes by the port.
fn rules() {
    nft::set_mark(Port::Udp(9001), 0x2a).expect("a rule that marks");
    nft::set_label(Port::Udp(9002), 100).expect("a rule that labels");
    nft::zone(Port::Udp(9003), 9).expect("a rule with a zone");
    nft::zone_original(Port::Udp(9004), 10).expect("a rule with a zone of one direction");
    let address = Ipv4Addr::new(127, 0, 0, 5).into();
    nft::snat(Port::Udp(9011), at(address, 5555)).expect("a rule that translates the source");
    nft::dnat(Port::Udp(9012), at(V4, 9013)).expect("a rule that translates the destination");
}

fn at(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip, port)
}
