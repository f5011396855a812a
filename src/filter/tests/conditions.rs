//! Each condition, on flows that meet it and flows that do not.

use super::*;
use crate::flow::{
    DccpInfo, DccpState, Family, Helper, IcmpEcho, Labels, Masked, ProtoInfo, Protocol, Rare,
    SctpInfo, SctpState, Status, TcpInfo, TcpState, Zone,
};

#[track_caller]
pub(super) fn check(filter: &Filter, yes: &[Flow], no: &[Flow]) {
    for flow in yes {
        assert!(filter.matches(flow), "{filter:?} misses {flow:?}");
    }
    for flow in no {
        assert!(!filter.matches(flow), "{filter:?} takes {flow:?}");
    }
    assert!(!filter.is_empty());
    // Inside another filter it has the same result.
    check_parts(filter, yes, no);
}

#[track_caller]
fn check_parts(filter: &Filter, yes: &[Flow], no: &[Flow]) {
    let not = on(|b| b.not(filter.clone()));
    let one = on(|b| b.any_of([filter.clone(), on(|b| b.protocol(250))]));
    for flow in yes {
        assert!(!not.matches(flow) && one.matches(flow), "{flow:?}");
    }
    for flow in no {
        assert!(not.matches(flow) && !one.matches(flow), "{flow:?}");
    }
}

fn flow(change: impl FnOnce(&mut Flow)) -> Flow {
    let mut flow = tcp();
    change(&mut flow);
    flow
}

#[test]
fn none() {
    assert!(Filter::default().is_empty());
    assert_eq!(Filter::builder().build().unwrap(), Filter::default());
    assert!(Filter::default().matches(&tcp()) && Filter::default().matches(&udp6()));
}

#[test]
fn family_and_protocol() {
    check(&on(|b| b.family(Family::Ipv4)), &[tcp()], &[udp6()]);
    check(&on(|b| b.family(Family::Ipv6)), &[udp6()], &[tcp()]);
    check(&on(|b| b.protocol(6)), &[tcp()], &[udp6()]);
    check(&on(|b| b.protocol(17)), &[udp6()], &[tcp()]);
}

#[test]
fn addresses_and_prefixes() {
    // Both ends are translated.
    let mut nat = tcp();
    nat.reply = Tuple::tcp(
        "10.0.1.2:8443".parse().unwrap(),
        "192.0.2.1:6000".parse().unwrap(),
    )
    .unwrap();
    let flows = &[tcp(), nat, udp6()];
    type Set = fn(FilterBuilder, IpNet) -> FilterBuilder;
    let (orig_src, orig_dst): (Set, Set) = (FilterBuilder::orig_src, FilterBuilder::orig_dst);
    let (reply_src, reply_dst): (Set, Set) = (FilterBuilder::reply_src, FilterBuilder::reply_dst);
    for (set, text, expected) in [
        (orig_src, "10.0.0.1/32", [true, true, false]),
        (orig_src, "10.0.0.2/32", [false; 3]),
        (orig_src, "10.0.0.0/24", [true, true, false]),
        (orig_src, "fd00::/16", [false, false, true]),
        (orig_src, "0.0.0.0/0", [true, true, false]),
        (orig_dst, "10.0.0.2/31", [true, true, false]),
        (orig_dst, "fd00::2/128", [false, false, true]),
        (reply_src, "10.0.1.0/24", [false, true, false]),
        (reply_src, "10.0.0.0/15", [true, true, false]),
        (reply_dst, "192.0.2.1/32", [false, true, false]),
        (reply_dst, "::/0", [false, false, true]),
    ] {
        let filter = on(|b| set(b, net(text)));
        assert_eq!(
            flows.each_ref().map(|flow| filter.matches(flow)),
            expected,
            "{text}"
        );
    }
    // Two prefixes become the narrower one.
    let two = on(|b| b.orig_src(net("10.0.0.0/8")).orig_src(net("10.0.0.0/16")));
    assert_eq!(two, on(|b| b.orig_src(net("10.0.0.0/16"))));
    assert_eq!(two.family(), Some(Family::Ipv4));
}

#[test]
fn ports_and_ranges() {
    let (a, b) = (tcp(), udp6());
    check(
        &on(|f| f.protocol(6).orig_dst_port(443)),
        &[tcp()],
        &[udp6()],
    );
    check(
        &on(|f| f.protocol(6).orig_src_port(4000..=4000)),
        &[a],
        &[b],
    );
    for (first, last, met) in [
        (443, 443, true),
        (0, 443, true),
        (443, u16::MAX, true),
        (444, 500, false),
        (0, 442, false),
    ] {
        assert_eq!(
            on(|f| f.protocol(6).orig_dst_port(first..=last)).matches(&tcp()),
            met
        );
        assert_eq!(
            on(|f| f.protocol(6).reply_src_port(first..=last)).matches(&tcp()),
            met
        );
    }
    let reply = on(|f| f.protocol(17).reply_dst_port(5000));
    check(&reply, &[udp6()], &[tcp()]);
    // Other ports, and a flow without ports.
    let dccp = Tuple::generic([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 33).unwrap();
    assert!(!on(|f| f.protocol(33).orig_dst_port(0)).matches(&of(dccp)));
    let two = on(|f| {
        f.protocol(6)
            .orig_dst_port(1..=500)
            .orig_dst_port(400..=900)
    });
    assert_eq!(two, on(|f| f.protocol(6).orig_dst_port(400..=500)));
}

#[test]
fn icmp_fields() {
    let echo = |code, id| {
        let echo = IcmpEcho::new(8, code, id);
        of(Tuple::icmp([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), echo).unwrap())
    };
    let six = of(Tuple::icmpv6(
        "::1".parse().unwrap(),
        "::2".parse().unwrap(),
        IcmpEcho::request_v6(7),
    )
    .unwrap());
    let icmp = || Filter::builder().protocol(1);
    check(
        &icmp().icmp_type(8).build().unwrap(),
        &[echo(0, 7)],
        &[six.clone(), tcp()],
    );
    check(
        &icmp().icmp_code(0).build().unwrap(),
        &[echo(0, 7)],
        &[echo(1, 7), six.clone()],
    );
    check(
        &icmp().icmp_id(7).build().unwrap(),
        &[echo(0, 7)],
        &[echo(0, 8), six.clone()],
    );
    let filter = on(|b| b.protocol(58).icmp_type(128).icmp_code(0).icmp_id(7));
    assert_eq!(filter.family(), Some(Family::Ipv6));
    check(&filter, &[six], &[echo(0, 7), udp6()]);
}

#[test]
fn zones() {
    let zone = |zone: Zone| flow(|flow| flow.zone = zone);
    let (none, both) = (zone(Zone::new(0)), zone(Zone::new(5)));
    let (orig, reply) = (zone(Zone::orig(5)), zone(Zone::reply(5)));
    let flows = [&none, &both, &orig, &reply];
    type Set = fn(FilterBuilder, u16) -> FilterBuilder;
    let (any, of_orig, of_reply): (Set, Set, Set) = (
        FilterBuilder::zone,
        FilterBuilder::orig_zone,
        FilterBuilder::reply_zone,
    );
    for (set, id, expected) in [
        (any, 0, [true, false, false, false]),
        (any, 5, [false, true, true, true]),
        (any, 6, [false; 4]),
        (of_orig, 0, [true, false, false, true]),
        (of_orig, 5, [false, true, true, false]),
        (of_reply, 0, [true, false, true, false]),
        (of_reply, 5, [false, true, false, true]),
    ] {
        let filter = on(|b| set(b, id));
        assert_eq!(
            flows.map(|flow| filter.matches(flow)),
            expected,
            "{filter:?}"
        );
    }
    let replies = on(|b| b.zone(5).orig_zone(0));
    assert_eq!(
        flows.map(|flow| replies.matches(flow)),
        [false, false, false, true]
    );
}

#[test]
fn mark_labels_and_status() {
    let mark = |mark| flow(|flow| flow.mark = mark);
    check(
        &on(|b| b.mark(Masked::new(0x10, 0xf0))),
        &[mark(Some(0x1f))],
        &[mark(Some(0x20)), mark(None)],
    );
    check(
        &on(|b| b.mark(0)),
        &[mark(Some(0)), mark(None)],
        &[mark(Some(1))],
    );
    let bit = |n| Labels::bit(n).unwrap();
    let labels = |labels| flow(|flow| flow.labels = labels);
    let three = on(|b| b.labels(Masked::new(bit(3), bit(3) | bit(100))));
    check(
        &three,
        &[labels(Some(bit(3) | bit(4)))],
        &[labels(Some(bit(3) | bit(100))), labels(None)],
    );
    check(
        &on(|b| b.labels(Labels::EMPTY.into())),
        &[labels(None)],
        &[labels(Some(bit(127)))],
    );
    let status = |status| flow(|flow| flow.status = status);
    let assured = on(|b| b.status(Masked::new(Status::ASSURED, Status::ASSURED)));
    check(
        &assured,
        &[status(Status::ASSURED | Status::CONFIRMED)],
        &[status(Status::CONFIRMED)],
    );
    let answered = status(Status::ASSURED | Status::SEEN_REPLY | Status::CONFIRMED);
    check(
        &on(|b| b.has_status(Status::ASSURED).lacks_status(Status::SRC_NAT)),
        std::slice::from_ref(&answered),
        &[
            status(Status::SEEN_REPLY),
            status(Status::ASSURED | Status::SRC_NAT),
        ],
    );
    check(
        &on(|b| b.has_status(Status::ASSURED | Status::SEEN_REPLY)),
        &[answered],
        &[status(Status::SEEN_REPLY), status(Status::ASSURED)],
    );
    check(
        &on(|b| b.has_labels(bit(3)).lacks_labels(bit(4) | bit(5))),
        &[labels(Some(bit(3) | bit(100)))],
        &[
            labels(Some(bit(3) | bit(5))),
            labels(Some(bit(4))),
            labels(None),
        ],
    );
    assert_eq!(
        on(|b| b.has_status(Status::ASSURED)),
        on(|b| b.status(Masked::new(Status::ASSURED, Status::ASSURED)))
    );
    // Two conditions of one kind become one.
    let both = on(|b| b.mark(Masked::new(1, 3)).mark(Masked::new(9, 9)));
    assert_eq!(both, on(|b| b.mark(Masked::new(9, 11))));
}

#[test]
fn nat_kinds() {
    let status = |bits| flow(|flow| flow.status = Status::CONFIRMED | bits);
    let none = status(Status::empty());
    let (src, dst) = (status(Status::SRC_NAT), status(Status::DST_NAT));
    let both = status(Status::SRC_NAT | Status::DST_NAT);
    let flows = [&none, &src, &dst, &both];
    for (kind, expected) in [
        (NatKind::Source, [false, true, false, true]),
        (NatKind::Destination, [false, false, true, true]),
        (NatKind::Any, [false, true, true, true]),
        (NatKind::None, [true, false, false, false]),
    ] {
        let filter = on(|b| b.nat(kind));
        assert_eq!(flows.map(|flow| filter.matches(flow)), expected, "{kind:?}");
    }
    let two = on(|b| b.nat(NatKind::Source).nat(NatKind::Destination));
    assert_eq!(
        flows.map(|flow| two.matches(flow)),
        [false, false, false, true]
    );
}

#[test]
fn tcp_state_and_helper() {
    let state =
        |state: TcpState| flow(|flow| flow.protoinfo = Some(TcpInfo::liberal(state).into()));
    let closing = on(|b| b.tcp_state(TcpState::TIME_WAIT));
    check(
        &closing,
        &[state(TcpState::TIME_WAIT)],
        &[state(TcpState::ESTABLISHED), tcp(), udp6()],
    );
    assert_eq!(
        closing,
        on(|b| b.tcp_state(TcpState::TIME_WAIT).protocol(6))
    );
    let helped = flow(|flow| {
        let helper = Helper {
            name: "ftp".into(),
            info: None,
        };
        flow.rare = Some(Box::new(Rare {
            helper: Some(helper),
            ..Rare::default()
        }));
    });
    check(
        &on(|b| b.has_helper()),
        std::slice::from_ref(&helped),
        &[tcp()],
    );
    check(
        &on(|b| b.helper("ftp")),
        std::slice::from_ref(&helped),
        &[tcp()],
    );
    check(&on(|b| b.helper("sip")), &[], &[helped, tcp()]);
}

#[test]
fn states_of_other_protocols() {
    let ends = || ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
    let sctp = |state| {
        let mut flow = of(Tuple::sctp(ends().0, ends().1).unwrap());
        let info = SctpInfo {
            state,
            vtag_orig: None,
            vtag_reply: None,
        };
        flow.protoinfo = Some(ProtoInfo::Sctp(Box::new(info)));
        flow
    };
    let open = on(|b| b.sctp_state(SctpState::ESTABLISHED));
    check(
        &open,
        &[sctp(SctpState::ESTABLISHED)],
        &[sctp(SctpState::CLOSED), tcp()],
    );
    assert_eq!(open.protocol(), Some(Protocol::SCTP));
    let dccp = |state| {
        let (src, dst) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let mut flow = of(Tuple::generic(src, dst, 33).unwrap());
        let info = DccpInfo {
            state,
            role: None,
            handshake_seq: None,
        };
        flow.protoinfo = Some(ProtoInfo::Dccp(Box::new(info)));
        flow
    };
    let open = on(|b| b.dccp_state(DccpState::OPEN));
    check(&open, &[dccp(DccpState::OPEN)], &[dccp(DccpState::RESPOND)]);
    assert_eq!(open.protocol(), Some(Protocol::DCCP));
}

#[test]
fn masters() {
    let master = tcp().orig;
    let expected = flow(|flow| {
        flow.rare = Some(Box::new(Rare {
            master: Some(master),
            ..Rare::default()
        }));
    });
    check(
        &on(|b| b.has_master()),
        std::slice::from_ref(&expected),
        &[tcp()],
    );
    let data = on(|b| b.master(master));
    check(&data, std::slice::from_ref(&expected), &[tcp()]);
    check(&on(|b| b.master(master.inverse())), &[], &[expected]);
    assert_eq!(data.family(), Some(Family::Ipv4));
}
