//! Flows that the crate creates.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ctnetlink::{
    ConntrackHandle, IcmpEcho, Labels, Nat, NewFlow, SctpInfo, SctpState, SeqAdj, Status, TcpState,
    Tuple, Zone,
};

use crate::support::namespace::sysctl;

const HOUR: Duration = Duration::from_secs(3600);

/// Creates all flows, and returns their number.
pub async fn create(handle: &ConntrackHandle) -> usize {
    let flows = [states(), protocols(), translations(), settings()].concat();
    for flow in &flows {
        let created = handle.create(flow.clone()).await;
        created.unwrap_or_else(|error| panic!("{flow:?}: {error}"));
    }
    flows.len() + without_counters(handle).await
}

/// The addresses of flow number `n`, which no other flow has.
fn ends(n: u8, v6: bool) -> (IpAddr, IpAddr) {
    let n6 = u16::from(n);
    if v6 {
        let address = |net| Ipv6Addr::new(0xfd00, net, 0, 0, 0, 0, 0, n6).into();
        (address(1), address(2))
    } else {
        let address = |net| Ipv4Addr::new(10, net, 0, n).into();
        (address(1), address(2))
    }
}

fn ports(n: u8, v6: bool) -> (SocketAddr, SocketAddr) {
    let (src, dst) = ends(n, v6);
    (
        SocketAddr::new(src, 40_000 + u16::from(n)),
        SocketAddr::new(dst, 443),
    )
}

fn tcp(n: u8, v6: bool) -> Tuple {
    let (src, dst) = ports(n, v6);
    Tuple::tcp(src, dst).expect("one family")
}

fn udp(n: u8, v6: bool) -> Tuple {
    let (src, dst) = ports(n, v6);
    Tuple::udp(src, dst).expect("one family")
}

fn new(tuple: Tuple) -> NewFlow {
    NewFlow::new(tuple, HOUR)
}

/// Every state of TCP and SCTP.
fn states() -> Vec<NewFlow> {
    let tcp_states = (0..=9).map(TcpState::from);
    let tcp = tcp_states
        .zip(0..)
        .map(|(state, n)| new(tcp(n, n % 3 == 0)).tcp_state(state));
    // HEARTBEAT_ACKED, 9, exists only in older kernels.
    let sctp_states = (0..=8).map(SctpState::from);
    let sctp = sctp_states.zip(20..).map(|(state, n)| {
        let (src, dst) = ports(n, n % 3 == 0);
        let info = SctpInfo::new(state, n.into(), 7);
        new(Tuple::sctp(src, dst).expect("one family")).protoinfo(info)
    });
    tcp.chain(sctp).collect()
}

/// The other protocols, in both families.
fn protocols() -> Vec<NewFlow> {
    let mut tuples = Vec::new();
    for v6 in [false, true] {
        let (src, dst) = ports(40, v6);
        tuples.extend([
            Tuple::udp(src, dst),
            Tuple::udplite(src, dst),
            Tuple::dccp(src, dst),
        ]);
        let (src, dst) = ends(41, v6);
        tuples.push(Tuple::gre(src, dst, 0, 0));
        tuples.push(Tuple::gre(src, dst, 5, 0xffff));
        tuples.extend([0, 2, 41, 50, 51, 89, 103, 253, 255].map(|n| Tuple::generic(src, dst, n)));
    }
    let (IpAddr::V4(src), IpAddr::V4(dst)) = ends(42, false) else {
        unreachable!()
    };
    for (kind, id) in [(8, 0), (8, u16::MAX), (13, 7), (15, 7), (17, 7)] {
        tuples.push(Tuple::icmp(src, dst, IcmpEcho::new(kind, 0, id)));
    }
    let (IpAddr::V6(src), IpAddr::V6(dst)) = ends(42, true) else {
        unreachable!()
    };
    for (kind, id) in [(128, 7), (139, 9)] {
        tuples.push(Tuple::icmpv6(src, dst, IcmpEcho::new(kind, 0, id)));
    }
    // IPv6 addresses with different text forms.
    for address in ["::192.0.2.1", "1:0:0:2::3", "2001:db8::", "64:ff9b::1"] {
        let address = address.parse().expect("an address");
        tuples.push(Tuple::generic(address, Ipv6Addr::LOCALHOST.into(), 89));
    }
    tuples
        .into_iter()
        .map(|tuple| new(tuple.expect("a tuple")))
        .collect()
}

fn translations() -> Vec<NewFlow> {
    let mut flows = Vec::new();
    for v6 in [false, true] {
        let (to, other) = ends(99, v6);
        flows.extend([
            new(udp(50, v6)).source_nat(Nat::to(to).port(5000)),
            new(udp(51, v6)).destination_nat(Nat::to(other).port(53)),
            new(tcp(52, v6))
                .source_nat(Nat::to(to).ports(6000..=6010))
                .destination_nat(Nat::to(other))
                .tcp_state(TcpState::ESTABLISHED)
                .status(Status::SEEN_REPLY | Status::ASSURED),
        ]);
    }
    flows.push(new(udp(53, false)).reply(udp(54, false).inverse()));
    flows
}

fn settings() -> Vec<NewFlow> {
    let label = |n| Labels::bit(n).expect("a label");
    let adjusted = SeqAdj::new(1, -2, 3);
    let master = Tuple::tcp(ports(70, false).0, SocketAddr::new(ends(70, false).1, 21));
    let master = master.expect("one family");
    vec![
        new(udp(60, false)).zone(5),
        new(udp(60, true)).zone(u16::MAX),
        new(udp(61, false)).zone(Zone::orig(6)),
        new(udp(61, true)).zone(Zone::orig(6)),
        new(udp(62, false)).zone(Zone::reply(7)),
        new(udp(62, true)).zone(Zone::reply(7)).mark(7),
        new(udp(63, false)).mark(1),
        new(udp(63, true)).mark(u32::MAX),
        new(udp(64, false)).labels(label(3)),
        new(udp(64, true)).labels(label(0) | label(127)).zone(5),
        new(tcp(65, false)).labels(Labels::ALL),
        new(udp(66, false)).status(Status::SEEN_REPLY),
        new(udp(66, true)).status(Status::ASSURED),
        new(udp(67, false)).status(Status::FIXED_TIMEOUT),
        new(udp(67, true)).status(Status::SEEN_REPLY | Status::ASSURED | Status::FIXED_TIMEOUT),
        NewFlow::new(udp(68, false), Duration::from_secs(8_000_000)),
        new(tcp(69, false))
            .seqadj_orig(adjusted)
            .seqadj_reply(adjusted),
        new(master).helper("ftp").tcp_state(TcpState::ESTABLISHED),
        new(udp(71, false)).master(master),
    ]
}

/// Flows without counters and timestamps.
async fn without_counters(handle: &ConntrackHandle) -> usize {
    let switches = ["nf_conntrack_acct", "nf_conntrack_timestamp"];
    for switch in switches {
        sysctl(switch, "0").expect(switch);
    }
    let flows = [
        new(udp(80, false)),
        new(tcp(80, true)).tcp_state(TcpState::SYN_SENT),
    ];
    for flow in &flows {
        handle.create(flow.clone()).await.expect("to create a flow");
    }
    for switch in switches {
        sysctl(switch, "1").expect(switch);
    }
    flows.len()
}
