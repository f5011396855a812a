//! The mark: only the named flow changes, and only the bits in the mask.

use std::net::{Ipv6Addr, UdpSocket};

use ctnetlink::{ErrorKind, FlowKey, Masked, Nat, Status, Table, Tuple, Zone};
use libtest_mimic::Trial;

use super::{
    HOUR, at, connect, create, got, is_gone, list, mark_of, new, refused, sorted, tcp, tuples, udp,
    udp6, v4,
};
use crate::support::nft::{self, Port};
use crate::support::traffic::UdpPair;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["mark":
        an_ipv6_flow_is_marked_and_not_its_ipv4_likeness,
        bits_outside_the_mask_stay,
        the_reply_tuple_names_the_flow,
        zones_keep_equal_tuples_apart,
        a_zone_of_one_direction_is_for_its_tuple,
        a_flow_that_is_gone_is_not_found,
        a_mark_never_creates,
        a_listed_flow_is_marked_if_it_is_still_there,
        a_translated_flow_is_marked,
        zero_is_a_mark,
        every_bit_is_a_markers,
    ]
}

/// IPv6 addresses whose last four bytes are the address of an IPv4 flow, and others whose first
/// four are.
async fn an_ipv6_flow_is_marked_and_not_its_ipv4_likeness() {
    let handle = connect();
    let like = |place: fn(u128) -> u128| {
        let address = |bits| Ipv6Addr::from_bits(place(bits)).into();
        let (client, server) = (address(0x0a00_0001), address(0x0a00_00fa));
        Tuple::udp(at(client, 4000), at(server, 53)).expect("one family")
    };
    let last = like(|bits| (0xfd << 120) | bits);
    let first = like(|bits| bits << 96);
    for tuple in [udp(1), last, first] {
        create(&handle, new(tuple).mark(1)).await;
    }
    handle.set_mark(last, 6).await.expect("a mark");
    handle.set_mark(first, 7).await.expect("a mark");
    assert_eq!(mark_of(&handle, udp(1)).await, 1);
    assert_eq!(mark_of(&handle, last).await, 6);
    assert_eq!(mark_of(&handle, first).await, 7);
    handle.set_mark(udp(1), 4).await.expect("a mark");
    assert_eq!(mark_of(&handle, last).await, 6);
    assert_eq!(mark_of(&handle, udp(1)).await, 4);
}

async fn bits_outside_the_mask_stay() {
    let handle = connect();
    create(&handle, new(udp(1)).mark(0xf0f0_00f5)).await;
    // The kernel would toggle the bits of the value that are not in the mask.
    let set = handle.set_mark(udp(1), Masked::new(0xffff_fffa, 0x0f));
    set.await.expect("a mark");
    assert_eq!(mark_of(&handle, udp(1)).await, 0xf0f0_00fa);
    let clear = handle.set_mark(udp(1), Masked::new(0, 0xf000_0000));
    clear.await.expect("a mark");
    assert_eq!(mark_of(&handle, udp(1)).await, 0x00f0_00fa);
    let update = handle.update(udp(1)).mark(Masked::new(0xff, 0xff00_00ff));
    update.await.expect("a mark");
    assert_eq!(mark_of(&handle, udp(1)).await, 0x00f0_00ff);
}

async fn the_reply_tuple_names_the_flow() {
    let handle = connect();
    let nat = Nat::to(v4(99)).port(5000);
    let flow = create(&handle, new(udp(1)).source_nat(nat)).await;
    create(&handle, new(udp(2))).await;
    assert_eq!(flow.reply.dst_port(), Some(5000));
    let marked = handle.set_mark(FlowKey::reply(flow.reply), 7).await;
    marked.expect("a mark");
    assert_eq!(mark_of(&handle, udp(1)).await, 7);
    assert_eq!(mark_of(&handle, udp(2)).await, 0);
    // The reply tuple without the translation names no flow.
    let untranslated = FlowKey::reply(udp(1).inverse());
    let marked = handle.set_mark(untranslated, 8).await;
    refused(marked, ErrorKind::NotFound, &["marking a flow"]);
}

async fn zones_keep_equal_tuples_apart() {
    let handle = connect();
    let keys = [0, 5, 6].map(|zone| FlowKey::from(udp(1)).zone(zone));
    for zone in [0, 5, 6] {
        handle.create(new(udp(1)).zone(zone)).await.expect("a flow");
    }
    handle.set_mark(keys[1], 5).await.expect("a mark");
    let reply = FlowKey::reply(udp(1).inverse()).zone(6);
    handle.set_mark(reply, 6).await.expect("a mark");
    for (key, mark) in keys.iter().zip([0, 5, 6]) {
        assert_eq!(mark_of(&handle, key).await, mark, "{key:?}");
    }
    let elsewhere = FlowKey::from(udp(1)).zone(7);
    refused(
        handle.set_mark(elsewhere, 7).await,
        ErrorKind::NotFound,
        &[],
    );
}

async fn a_zone_of_one_direction_is_for_its_tuple() {
    let handle = connect();
    // The flows need different reply tuples, because both are looked up in zone 0.
    let reply = |n| udp(n).inverse();
    handle.create(new(udp(1))).await.expect("a flow");
    let zoned = new(udp(1)).reply(reply(2)).zone(Zone::orig(5));
    handle.create(zoned).await.expect("a flow");
    let key = FlowKey::from(udp(1)).zone(Zone::orig(5));
    handle.set_mark(key, 5).await.expect("a mark");
    assert_eq!(mark_of(&handle, udp(1)).await, 0);
    assert_eq!(mark_of(&handle, FlowKey::reply(reply(2))).await, 5);
    let flow = got(&handle, key).await;
    assert_eq!(flow.zone, Zone::orig(5));
    handle.set_mark(&flow, 6).await.expect("a mark");
    assert_eq!(mark_of(&handle, key).await, 6);

    let zoned = new(udp6(1)).zone(Zone::reply(7));
    handle.create(zoned).await.expect("a flow");
    let key = FlowKey::reply(udp6(1).inverse()).zone(Zone::reply(7));
    handle.set_mark(key, 7).await.expect("a mark");
    assert_eq!(mark_of(&handle, udp6(1)).await, 7);
    let zone_0 = FlowKey::reply(udp6(1).inverse());
    refused(handle.set_mark(zone_0, 8).await, ErrorKind::NotFound, &[]);
    assert_eq!(got(&handle, udp6(1)).await.zone, Zone::reply(7));
}

async fn a_flow_that_is_gone_is_not_found() {
    let handle = connect();
    create(&handle, new(udp(1))).await;
    handle.delete(udp(1)).await.expect("a delete");
    let marked = handle.set_mark(udp(1), 7).await;
    let error = refused(
        marked,
        ErrorKind::NotFound,
        &["marking a flow", "not in the table"],
    );
    assert!(error.is_not_found());
    assert_eq!(error.errno(), Some(nix::libc::ENOENT));
}

async fn a_mark_never_creates() {
    let handle = connect();
    create(&handle, new(udp(2))).await;
    for key in [FlowKey::from(udp(1)), FlowKey::reply(udp(1).inverse())] {
        refused(handle.set_mark(key, 7).await, ErrorKind::NotFound, &[]);
        let update = handle.update(key).mark(7).timeout(HOUR).await;
        refused(update, ErrorKind::NotFound, &[]);
    }
    assert_eq!(tuples(&handle).await, [udp(2)]);
}

async fn a_listed_flow_is_marked_if_it_is_still_there() {
    let handle = connect();
    for n in 1..=3 {
        create(&handle, new(tcp(n))).await;
    }
    let flows = list(&handle).await;
    handle.delete(tcp(2)).await.expect("a delete");
    let mut marked = Vec::new();
    for flow in &flows {
        match handle.set_mark(flow, 9).await {
            Ok(()) => marked.push(flow.orig),
            Err(error) => assert!(error.is_not_found() && flow.orig == tcp(2), "{error}"),
        }
    }
    assert_eq!(sorted(marked), sorted(vec![tcp(1), tcp(3)]));
    // Another failure is not `NotFound`.
    let void = handle.set_mark(tcp(1), Masked::new(0, 0)).await;
    assert!(!refused(void, ErrorKind::InvalidInput, &["mark"]).is_not_found());
    assert_eq!(mark_of(&handle, tcp(1)).await, 9);
}

async fn a_translated_flow_is_marked() {
    let port = 9001;
    let server = UdpSocket::bind("127.0.0.1:0").expect("a server");
    let behind = server.local_addr().expect("its address");
    nft::dnat(Port::Udp(port), behind).expect("a rule");
    let dialled = format!("127.0.0.9:{port}").parse().expect("an address");
    let mut pair = UdpPair::through(server, None, dialled).expect("sockets");
    pair.send().expect("a question");
    pair.reply().expect("an answer");

    let handle = connect();
    let flow = list(&handle).await.remove(0);
    assert!(flow.status.contains(Status::DST_NAT), "{flow}");
    assert_ne!(flow.reply, flow.orig.inverse());
    handle.set_mark(&flow, 1).await.expect("a mark");
    assert_eq!(mark_of(&handle, flow.orig).await, 1);
    handle.set_mark(flow.orig, 2).await.expect("a mark");
    assert_eq!(mark_of(&handle, &flow).await, 2);
    let reply = FlowKey::reply(flow.reply);
    handle.set_mark(reply, 3).await.expect("a mark");
    assert_eq!(mark_of(&handle, &flow).await, 3);
    handle.flush(Table::Conntrack).await.expect("a flush");
    refused(handle.set_mark(&flow, 4).await, ErrorKind::NotFound, &[]);
    assert!(is_gone(&handle, &flow).await);
}

async fn zero_is_a_mark() {
    let handle = connect();
    let flow = create(&handle, new(udp(1)).mark(7)).await;
    assert_eq!(flow.mark, Some(7));
    handle.set_mark(udp(1), 0).await.expect("a mark");
    assert_eq!(mark_of(&handle, udp(1)).await, 0);
}

async fn every_bit_is_a_markers() {
    let handle = connect();
    create(&handle, new(udp(1))).await;
    for mark in [u32::MAX, 0x8000_0000, 0x0102_0304, 1] {
        handle.set_mark(udp(1), mark).await.expect("a mark");
        assert_eq!(mark_of(&handle, udp(1)).await, mark);
    }
}
