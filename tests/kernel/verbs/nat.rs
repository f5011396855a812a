//! Create with network address translation.

use std::net::IpAddr;

use ctnetlink::{ErrorKind, IcmpEcho, Nat, Status, Tuple};
use libtest_mimic::Trial;

use super::{connect, create, is_gone, new, refused, tcp, tcp6, udp, udp6, v4, v6};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["nat":
        the_source,
        the_destination,
        both_ends,
        to_one_of_a_range,
        to_one_of_a_range_that_is_used_up,
        of_a_querys_id,
        to_what_it_is_already,
        of_a_reply_alone_translates_nothing,
    ]
}

const DONE: Status = Status::CONFIRMED
    .union(Status::SRC_NAT_DONE)
    .union(Status::DST_NAT_DONE);

fn ends(tuple: &Tuple) -> (IpAddr, u16, IpAddr, u16) {
    let port = |port: Option<u16>| port.expect("a port");
    (
        tuple.src(),
        port(tuple.src_port()),
        tuple.dst(),
        port(tuple.dst_port()),
    )
}

async fn the_source() {
    let handle = connect();
    for (tuple, to, server, port) in [
        (udp(1), v4(99), v4(250), 53),
        (tcp6(1), v6(99), v6(250), 443),
    ] {
        let kept = create(&handle, new(tuple).source_nat(Nat::to(to))).await;
        assert_eq!(kept.status, DONE | Status::SRC_NAT);
        assert_eq!(
            (kept.orig, ends(&kept.reply)),
            (tuple, (server, port, to, 4000))
        );
        handle.delete(tuple).await.expect("a delete");
        let flow = create(&handle, new(tuple).source_nat(Nat::to(to).port(5000))).await;
        assert_eq!(flow.status, DONE | Status::SRC_NAT);
        assert_eq!(ends(&flow.reply), (server, port, to, 5000));
    }
}

async fn the_destination() {
    let handle = connect();
    for (tuple, to, client) in [(tcp(1), v4(99), v4(1)), (udp6(1), v6(99), v6(1))] {
        let nat = Nat::to(to).port(8080);
        let flow = create(&handle, new(tuple).destination_nat(nat)).await;
        assert_eq!(flow.status, DONE | Status::DST_NAT);
        assert_eq!(ends(&flow.reply), (to, 8080, client, 4000));
    }
}

async fn both_ends() {
    let handle = connect();
    for (tuple, source, destination) in [(udp(1), v4(98), v4(99)), (tcp6(1), v6(98), v6(99))] {
        let flow = new(tuple)
            .source_nat(Nat::to(source).port(5000))
            .destination_nat(Nat::to(destination).port(8080));
        let flow = create(&handle, flow).await;
        assert_eq!(flow.status, DONE | Status::SRC_NAT | Status::DST_NAT);
        assert_eq!(ends(&flow.reply), (destination, 8080, source, 5000));
    }
}

async fn to_one_of_a_range() {
    let handle = connect();
    let ranges = [
        (udp as fn(u8) -> Tuple, v4(100)..=v4(103)),
        (tcp6 as fn(u8) -> Tuple, v6(100)..=v6(103)),
    ];
    for (tuple, addresses) in ranges {
        let mut taken = Vec::new();
        for n in 1..=4 {
            let nat = Nat::to_any(addresses.clone()).ports(6000..=6003);
            let flow = create(&handle, new(tuple(n)).source_nat(nat)).await;
            let (_, _, address, port) = ends(&flow.reply);
            assert!(addresses.contains(&address), "{address}");
            assert!((6000..=6003).contains(&port), "{port}");
            assert!(!taken.contains(&(address, port)), "{address} {port} twice");
            taken.push((address, port));
        }
    }
}

async fn to_one_of_a_range_that_is_used_up() {
    let handle = connect();
    let nat = Nat::to(v4(99)).ports(6000..=6001);
    for n in 1..=2 {
        create(&handle, new(udp(n)).source_nat(nat)).await;
    }
    let created = handle.create(new(udp(3)).source_nat(nat)).await;
    let cure = ["another flow", "range", "free"];
    refused(created, ErrorKind::AlreadyExists, &cure);
    assert!(is_gone(&handle, udp(3)).await);
}

async fn of_a_querys_id() {
    let handle = connect();
    let (IpAddr::V4(src), IpAddr::V4(dst)) = (v4(1), v4(2)) else {
        unreachable!("IPv4");
    };
    let tuple = Tuple::icmp(src, dst, IcmpEcho::request(7)).expect("a query");
    let flow = create(&handle, new(tuple).source_nat(Nat::to(v4(99)).port(77))).await;
    assert_eq!(flow.reply.icmp_echo(), Some(IcmpEcho::new(0, 0, 77)));
    assert_eq!(flow.reply.dst(), v4(99));
}

async fn to_what_it_is_already() {
    let handle = connect();
    let flow = create(&handle, new(udp(1)).source_nat(Nat::to(v4(1)).port(4000))).await;
    assert_eq!((flow.status, flow.reply), (DONE, udp(1).inverse()));
}

async fn of_a_reply_alone_translates_nothing() {
    let handle = connect();
    let flow = create(&handle, new(udp(1)).reply(udp(2).inverse())).await;
    assert_eq!(flow.reply, udp(2).inverse());
    assert_eq!(flow.status, Status::CONFIRMED);
}
