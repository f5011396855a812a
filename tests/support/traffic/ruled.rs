//! Packets that rules mark, label and translate. The port selects the rule.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use super::super::nft::{self, Port};
use super::{UdpPair, udp};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Adds rules for marks, labels, zones and translations.
pub fn rules() {
    nft::set_mark(Port::Udp(9001), 0x2a).expect("a rule that marks");
    nft::set_label(Port::Udp(9002), 100).expect("a rule that labels");
    nft::zone(Port::Udp(9003), 9).expect("a rule with a zone");
    nft::zone_original(Port::Udp(9004), 10).expect("a rule with a zone of one direction");
    let address = Ipv4Addr::new(127, 0, 0, 5).into();
    nft::snat(Port::Udp(9011), SocketAddr::new(address, 5555))
        .expect("a rule that translates the source");
    nft::dnat(Port::Udp(9012), SocketAddr::new(LOCAL, 9013))
        .expect("a rule that translates the destination");
}

/// Sends a packet to each port whose rule does not translate.
pub fn packets(to: IpAddr) {
    for port in [9001, 9002, 9003, 9004] {
        udp(None, SocketAddr::new(to, port)).expect("a datagram");
    }
}

/// Sends a packet to each port whose rule translates.
pub fn translated() {
    for (port, behind) in [(9011, 9011), (9012, 9013)] {
        let server = UdpSocket::bind(SocketAddr::new(LOCAL, behind)).expect("a server");
        let pair = UdpPair::through(server, None, SocketAddr::new(LOCAL, port));
        pair.expect("sockets").send().expect("a question");
    }
}
