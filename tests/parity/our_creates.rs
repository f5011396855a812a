//! Creates by the crate, as conntrack(8) shows them.

use ctnetlink::{FlowKey, Nat, NewFlow, Status, TcpState, Zone};

use crate::flows::{DST, HOUR, SRC, at, connect, create, tcp_between, udp, udp_between};
use crate::shown::End;
use crate::tool::{got, shown};
use crate::wait::same_line;

/// With both ends, one end, and without ports, for both families.
pub async fn translation() {
    let handle = connect();
    let to = |address: &str| Nat::to(at(address).ip()).port(at(address).port());
    for [src, dst, source, destination] in [
        [SRC, DST, "192.0.2.7:5000", "192.0.2.8:5001"],
        [
            "[fd00::1]:4000",
            "[fd00::2]:443",
            "[fd00::7]:5000",
            "[fd00::8]:5001",
        ],
    ] {
        for (with_source, with_destination) in [(true, false), (false, true), (true, true)] {
            let tuple = tcp_between(src, dst);
            let mut flow = NewFlow::new(tuple, HOUR).tcp_state(TcpState::ESTABLISHED);
            let (mut reply_dst, mut reply_src) = (at(src), at(dst));
            if with_source {
                flow = flow.source_nat(to(source));
                reply_dst = at(source);
            }
            if with_destination {
                flow = flow.destination_nat(to(destination));
                reply_src = at(destination);
            }
            create(&handle, flow).await;
            let key = format!(
                "-p tcp -s {} -d {} --sport {} --dport {}",
                at(src).ip(),
                at(dst).ip(),
                at(src).port(),
                at(dst).port()
            );
            let reply = got(&key).reply.expect("a reply direction");
            assert_eq!((reply.src, reply.dst), (reply_src.ip(), reply_dst.ip()));
            assert_eq!(reply.ports, Some((reply_src.port(), reply_dst.port())));
            let flow = same_line(&handle, tuple.into(), &key).await;
            assert_eq!(flow.status.contains(Status::SRC_NAT), with_source, "{flow}");
            assert_eq!(
                flow.status.contains(Status::DST_NAT),
                with_destination,
                "{flow}"
            );
            handle.delete(&flow).await.expect("to delete it");
        }
    }
}

/// The kernel chooses a free port from the range.
pub async fn translation_to_a_range() {
    let handle = connect();
    let mut picked = Vec::new();
    for address in ["10.1.0.1", "10.1.0.2"] {
        let nat = Nat::to(at("192.0.2.7:0").ip()).ports(6000..=6001);
        let tuple = udp_between(&format!("{address}:4000"), DST);
        create(&handle, NewFlow::new(tuple, HOUR).source_nat(nat)).await;
        let flow = got(&format!(
            "-p udp -s {address} -d 10.2.0.1 --sport 4000 --dport 443"
        ));
        let reply = flow.reply.expect("a reply direction");
        assert_eq!(reply.dst, at("192.0.2.7:0").ip());
        picked.push(reply.ports.expect("ports").1);
    }
    picked.sort_unstable();
    assert_eq!(picked, [6000, 6001]);
}

/// One tuple in several zones.
pub async fn zones() {
    let handle = connect();
    let zones = [Zone::new(5), Zone::new(6), Zone::default()];
    for zone in zones {
        create(
            &handle,
            NewFlow::new(udp(), HOUR)
                .zone(zone)
                .mark(u32::from(zone.id())),
        )
        .await;
    }
    for (src, zone) in [
        ("[fd00::1]:1", Zone::orig(8)),
        ("[fd00::1]:2", Zone::reply(9)),
    ] {
        let tuple = udp_between(src, "[fd00::2]:53");
        create(&handle, NewFlow::new(tuple, HOUR).zone(zone)).await;
    }

    let shown = |of: &str| {
        let flows = shown(&format!("-L {of}")).into_iter();
        let zone = |end: Option<_>| end.and_then(|end: End| end.zone);
        let mut zones: Vec<_> = flows
            .map(|flow| (flow.zone, zone(flow.orig), zone(flow.reply), flow.mark))
            .collect();
        zones.sort_unstable();
        zones
    };
    assert_eq!(
        shown("-f ipv4"),
        [
            (None, None, None, Some(0)),
            (Some(5), None, None, Some(5)),
            (Some(6), None, None, Some(6)),
        ]
    );
    assert_eq!(
        shown("-f ipv6"),
        [
            (None, None, Some(9), Some(0)),
            (None, Some(8), None, Some(0)),
        ]
    );
    let key = FlowKey::orig(udp()).zone(6);
    handle.set_mark(key, 66).await.expect("a mark in a zone");
    handle
        .delete(FlowKey::reply(udp().inverse()).zone(5))
        .await
        .expect("to delete in a zone");
    assert_eq!(
        shown("-f ipv4"),
        [(None, None, None, Some(0)), (Some(6), None, None, Some(66)),]
    );
}
