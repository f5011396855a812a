//! Real packets of every protocol, and all attributes of their flows.

use std::net::{IpAddr, TcpListener, UdpSocket};
use std::time::{Duration, SystemTime};

use ctnetlink::{
    Counters, Flow, IcmpEcho, ProtoInfo, SctpInfo, SctpState, Status, TcpFlags, TcpState, Tuple,
    Zone,
};
use libtest_mimic::Trial;

use super::{at, connect, list};
use crate::support::nft::{self, Port};
use crate::support::peer::Peer;
use crate::support::release;
use crate::support::traffic::{TcpPair, UdpPair, packet, ping, raw, udp};
use crate::support::visible::visible_when;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["traffic":
        of_every_protocol,
        of_tcp,
        with_zones_and_marks,
    ]
}

/// The expected flow of one protocol: the original tuple, and the packet sizes without the IP
/// header in both directions.
struct Expected {
    tuple: Tuple,
    reply: Option<u64>,
    size: u64,
}

async fn of_every_protocol() {
    nft::track().expect("a rule that tracks");
    let began = SystemTime::now();
    let peer = Peer::new().await;
    let mut expected = Vec::new();
    for (near, far) in [(Peer::NEAR_V4, Peer::FAR_V4), (Peer::NEAR_V6, Peer::FAR_V6)] {
        expected.extend(send(&peer, near, far));
    }
    let flows = list(&connect()).await;
    let ended = SystemTime::now();
    for Expected { tuple, reply, size } in &expected {
        let flow = flows.iter().find(|flow| flow.orig == *tuple);
        let flow = flow.unwrap_or_else(|| panic!("no {tuple:?} in {flows:#?}"));
        assert_eq!(flow.reply, tuple.inverse());
        let header = if tuple.src().is_ipv4() { 20 } else { 40 };
        let counters = |size| Counters::new(1, header + size);
        assert_eq!(flow.counters_orig, Some(counters(*size)), "{flow}");
        let answered = reply.map(counters).unwrap_or_default();
        assert_eq!(flow.counters_reply, Some(answered), "{flow}");
        let seen = flow.status.contains(Status::SEEN_REPLY);
        assert_eq!(seen, reply.is_some(), "{flow}");
        assert_eq!(flow.status - Status::SEEN_REPLY, Status::CONFIRMED);
        usual(flow, began, ended);
    }
}

/// Checks what is true for any flow of real packets.
fn usual(flow: &Flow, began: SystemTime, ended: SystemTime) {
    let timestamp = flow.timestamp().expect("a timestamp");
    assert!((began..=ended).contains(&timestamp.start), "{flow:?}");
    assert_eq!((timestamp.stop, flow.event_timestamp()), (None, None));
    assert_eq!((flow.mark, flow.labels), (Some(0), None));
    assert_eq!((flow.zone, flow.use_count), (Zone::default(), Some(1)));
    assert!(flow.id.is_some() && flow.timeout.is_some());
    assert_eq!((flow.helper(), flow.master()), (None, None));
}

/// Sends one packet of each protocol. It is answered if the other side knows the protocol.
fn send(peer: &Peer, near: IpAddr, far: IpAddr) -> Vec<Expected> {
    let mut expected = Vec::new();
    let mut sent = |tuple: ctnetlink::Result<Tuple>, size: usize, reply: Option<u64>| {
        expected.push(Expected {
            tuple: tuple.expect("a tuple"),
            reply,
            size: size as u64,
        });
    };
    let server = peer.run(|| UdpSocket::bind(at(far, 9001)));
    let client = Some(at(near, 4001));
    let pair = UdpPair::through(server.expect("a server"), client, at(far, 9001));
    let mut pair = pair.expect("sockets");
    pair.send().expect("a question");
    pair.reply().expect("an answer");
    sent(
        Tuple::udp(pair.source, pair.destination),
        8 + 8,
        Some(8 + 6),
    );

    ping(near, far, 77).expect("an echo");
    let echo = match (near, far) {
        (IpAddr::V4(near), IpAddr::V4(far)) => Tuple::icmp(near, far, IcmpEcho::request(77)),
        (IpAddr::V6(near), IpAddr::V6(far)) => Tuple::icmpv6(near, far, IcmpEcho::request_v6(77)),
        _ => unreachable!("one family"),
    };
    let size = packet::echo_request(near.is_ipv6(), 77).len();
    sent(echo, size, Some(size as u64));

    let (a, b) = (at(near, 1001), at(far, 2002));
    for (protocol, payload, tuple) in [
        (
            packet::UDPLITE,
            packet::udplite(a, b, b"hello"),
            match release::tracks_udplite() {
                true => Tuple::udplite(a, b),
                false => Tuple::generic(near, far, packet::UDPLITE),
            },
        ),
        (
            packet::SCTP,
            packet::sctp_init(1001, 2002, 7),
            Tuple::sctp(a, b),
        ),
        (packet::GRE, packet::gre(), Tuple::gre(near, far, 0, 0)),
        (
            packet::GRE,
            packet::gre_pptp(5),
            Tuple::gre(near, far, 0, 5),
        ),
        (
            packet::OSPF,
            b"hello".to_vec(),
            Tuple::generic(near, far, packet::OSPF),
        ),
    ] {
        raw(protocol, near, far, &payload).expect("a packet");
        // The answer is an ABORT, because no socket accepts associations.
        let answered = protocol == packet::SCTP && release::answers_sctp();
        sent(tuple, payload.len(), answered.then_some(16));
    }
    expected
}

async fn of_tcp() {
    nft::track().expect("a rule that tracks");
    let handle = connect();
    let began = SystemTime::now();
    let peer = Peer::new().await;
    for (near, far) in [(Peer::NEAR_V4, Peer::FAR_V4), (Peer::NEAR_V6, Peer::FAR_V6)] {
        let server = at(far, 9001);
        let listener = peer.run(|| TcpListener::bind(server)).expect("a server");
        let pair = TcpPair::through(listener, Some(at(near, 4001)), server).await;
        let pair = pair.expect("a connection");
        let tuple = Tuple::tcp(at(near, 4001), server).expect("one family");
        let flows = list(&handle).await;
        let flow = flows
            .iter()
            .find(|flow| flow.orig == tuple)
            .expect("the flow");
        assert_eq!(flow.reply, tuple.inverse());
        let assured = Status::SEEN_REPLY | Status::ASSURED | Status::CONFIRMED;
        assert_eq!(flow.status, assured);
        assert!(flow.timeout > Some(Duration::from_secs(200)), "{flow}");
        usual(flow, began, SystemTime::now());
        let Some(ProtoInfo::Tcp(info)) = flow.protoinfo else {
            panic!("no state in {flow:?}");
        };
        assert_eq!(info.state, TcpState::ESTABLISHED);
        let scales = info.wscale_orig.zip(info.wscale_reply);
        assert!(scales.is_some_and(|(orig, reply)| orig <= 14 && reply <= 14));
        for flags in [info.flags_orig, info.flags_reply] {
            let flags = flags.expect("flags").value();
            assert!(flags.contains(TcpFlags::WINDOW_SCALE | TcpFlags::SACK_PERM));
        }
        // A handshake and a few bytes each way. Each segment has a header of 20 to 60 bytes.
        for counters in [flow.counters_orig, flow.counters_reply] {
            let Counters { packets, bytes, .. } = counters.expect("counters");
            assert!((2..10).contains(&packets), "{flow}");
            assert!(
                (packets * 40 + 4..packets * 100 + 4).contains(&bytes),
                "{flow}"
            );
        }

        pair.close().await.expect("to close");
        let state = |flow: &Flow| match flow.protoinfo {
            Some(ProtoInfo::Tcp(info)) => info.state,
            _ => TcpState::NONE,
        };
        visible_when(&handle, tuple, |flow| state(flow) == TcpState::TIME_WAIT).await;
    }
}

/// What rules do to flows, and the tag of an SCTP association.
async fn with_zones_and_marks() {
    let (near, far) = (Peer::NEAR_V4, Peer::FAR_V4);
    let _peer = Peer::new().await;
    nft::zone(Port::Udp(9001), 5).expect("a rule");
    nft::zone_original(Port::Udp(9002), 6).expect("a rule");
    nft::set_mark(Port::Udp(9003), 0xffff_fff0).expect("a rule");
    nft::set_label(Port::Udp(9004), 127).expect("a rule");
    for port in 9001..=9004 {
        udp(Some(at(near, 4001)), at(far, port)).expect("a datagram");
    }
    let init = packet::sctp_init(1, 2, 0x0102_0304);
    raw(packet::SCTP, near, far, &init).expect("a packet");

    let flows = list(&connect()).await;
    let to = |port: u16| {
        let to = |flow: &&Flow| flow.orig.dst_port() == Some(port);
        flows.iter().find(to).expect("a flow")
    };
    assert_eq!(to(9001).zone, Zone::new(5));
    assert_eq!(to(9002).zone, Zone::orig(6));
    assert_eq!(to(9003).mark, Some(0xffff_fff0));
    assert_eq!(
        to(9004).labels.map(|labels| labels.iter().collect()),
        Some(vec![127])
    );
    let info = SctpInfo::new(SctpState::CLOSED, 0, 0x0102_0304);
    assert_eq!(to(2).protoinfo, Some(info.into()));
}
