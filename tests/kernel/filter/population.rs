//! A table of every kind of flow.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ctnetlink::{
    ConntrackHandle, IcmpEcho, Labels, Masked, Nat, NewFlow, Status, TcpState, Tuple, Zone,
};
use futures::future::try_join_all;

use crate::support::{nft, release};

pub(crate) const FLOWS: u16 = 640;

/// Host `n` of network `net`: 10.net.0.n or fd00:net::n.
pub(crate) fn host(v6: bool, net: u8, n: u16) -> IpAddr {
    let [high, low] = n.to_be_bytes();
    match v6 {
        false => Ipv4Addr::new(10, net, high, low).into(),
        true => Ipv6Addr::new(0xfd00, net.into(), 0, 0, 0, 0, 0, n).into(),
    }
}

/// Makes the flows: both families, all protocols, zones, translations, marks, labels, states.
pub(crate) async fn populate(handle: &ConntrackHandle) {
    nft::labels().expect("a rule that uses labels");
    let made = (0..FLOWS).map(|n| async move {
        let flow = flow(n);
        let created = handle.create(flow.clone()).await;
        created.map_err(|error| format!("{flow:?}: {error}"))
    });
    try_join_all(made).await.expect("all flows");
}

/// Flow number `n`.
pub(crate) fn flow(n: u16) -> NewFlow {
    let (v6, kind) = (n % 2 == 1, n / 2 % 8);
    let is_generic = kind == 5 || kind == 3 && !release::tracks_udplite();
    let tuple = tuple(n, v6, kind);
    let zone = match n / 16 % 5 {
        0 => Zone::new(5),
        1 => Zone::orig(5),
        2 => Zone::reply(5),
        3 => Zone::new(6),
        _ => Zone::default(),
    };
    let bits = [Status::empty(), Status::ASSURED, Status::SEEN_REPLY];
    let mut flow = NewFlow::new(tuple, Duration::from_secs(3600))
        .zone(zone)
        .mark([0, 1, 0x10, 0x11, 0x8000_0001, 0x21, 0][usize::from(n % 7)])
        .status(Status::CONFIRMED | bits[usize::from(n % 3)] | bits[usize::from(n % 5 / 2)]);
    if n % 9 < 3 {
        let label = |bit| Labels::bit(bit).expect("a label");
        flow = flow.labels(label(3) | label(100 + (n % 9) as u8));
    }
    if kind < 2 {
        let states = [
            TcpState::ESTABLISHED,
            TcpState::TIME_WAIT,
            TcpState::SYN_SENT,
        ];
        flow = flow.tcp_state(states[usize::from(n / 3 % 3)]);
    }
    let nat = n / 5 % 4;
    // A generic protocol has only one flow between two hosts.
    if nat & 1 == 1 && !is_generic {
        flow = flow.source_nat(Nat::to(host(v6, 77, 1)));
    }
    if nat & 2 == 2 && !is_generic {
        flow = flow.destination_nat(Nat::to(host(v6, 88, n % 2 + 1)));
    }
    if nat == 0 && kind == 0 {
        flow = flow.helper("ftp");
    }
    flow
}

/// Flows differ in what their protocol has: ports, keys, an id, or only addresses.
fn tuple(n: u16, v6: bool, kind: u16) -> Tuple {
    let (src, dst) = (host(v6, (n % 3) as u8, n % 4 + 1), host(v6, 9, n % 5 + 1));
    let client = SocketAddr::new(src, 10_000 + n);
    let server = SocketAddr::new(dst, [443, 53, 8080][usize::from(n % 3)]);
    let tuple = match (kind, src, dst) {
        (0 | 1, ..) => Tuple::tcp(client, server),
        (2, ..) => Tuple::udp(client, server),
        (3, ..) if release::tracks_udplite() => Tuple::udplite(client, server),
        (3, ..) => Tuple::generic(host(v6, 51, n), dst, 136),
        (4, ..) => Tuple::sctp(client, server),
        (5, ..) => Tuple::generic(host(v6, 50, n), dst, 89),
        (6, ..) => Tuple::gre(src, dst, n, 443),
        (_, IpAddr::V4(src), IpAddr::V4(dst)) => {
            let kind = [8, 13][usize::from(n % 3 / 2)];
            Tuple::icmp(src, dst, IcmpEcho::new(kind, (n % 2) as u8, n / 32))
        }
        (_, IpAddr::V6(src), IpAddr::V6(dst)) => {
            let kind = [128, 139][usize::from(n % 3 / 2)];
            Tuple::icmpv6(src, dst, IcmpEcho::new(kind, 0, n / 32))
        }
        _ => unreachable!("one family"),
    };
    tuple.expect("a tuple")
}

/// These bits are set. The other bits do not count.
pub(crate) fn these(status: Status) -> Masked<Status> {
    Masked::new(status, status)
}
