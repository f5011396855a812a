//! Every protocol, in both families, with every verb that takes a key.

use std::net::IpAddr;
use std::time::Duration;

use ctnetlink::{FlowKey, IcmpEcho, Nat, NewFlow, Protocol, Status, Tuple};
use libtest_mimic::Trial;

use super::{
    all_protocols, at, connect, create, got, is_gone, list, mark_of, new, sorted, tuples, v4, v6,
};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["tuples":
        all_are_created_and_found,
        all_are_marked_and_deleted,
        no_port_is_invented,
        what_kernels_forget_is_found_with_or_without_ports,
        an_icmp_answer_has_the_other_type,
        icmp_over_the_other_family_is_found_by_its_text,
        what_a_dual_stack_socket_gives_is_found,
    ]
}

async fn all_are_created_and_found() {
    let handle = connect();
    let all = all_protocols(1);
    for tuple in &all {
        let flow = create(&handle, new(*tuple)).await;
        assert_eq!(flow.orig, *tuple);
        assert_eq!(flow.reply, tuple.inverse());
        assert_eq!(flow.status, Status::CONFIRMED);
        assert_eq!(flow.mark, Some(0));
        let left = flow.timeout.expect("a timeout");
        assert!((3590..=3600).contains(&left.as_secs()), "{left:?}");
        let by_reply = got(&handle, FlowKey::reply(tuple.inverse())).await;
        assert_eq!((by_reply.orig, by_reply.id), (flow.orig, flow.id));
    }
    assert_eq!(tuples(&handle).await, sorted(all));
}

async fn all_are_marked_and_deleted() {
    let handle = connect();
    let all = all_protocols(2);
    for tuple in &all {
        create(&handle, new(*tuple)).await;
    }
    for (tuple, mark) in all.iter().zip(1..) {
        handle.set_mark(*tuple, mark).await.expect("a mark");
    }
    for (tuple, mark) in all.iter().zip(1..) {
        assert_eq!(mark_of(&handle, *tuple).await, mark, "{tuple:?}");
    }
    for tuple in &all {
        handle.delete(*tuple).await.expect("a delete");
        assert!(is_gone(&handle, *tuple).await, "{tuple:?}");
    }
    assert_eq!(tuples(&handle).await, []);
}

async fn no_port_is_invented() {
    let handle = connect();
    for (src, dst) in [(v4(1), v4(2)), (v6(1), v6(2))] {
        let zero = Tuple::udp(at(src, 0), at(dst, 0)).expect("one family");
        let none = Tuple::generic(src, dst, 89).expect("one family");
        for (tuple, port) in [(zero, Some(0)), (none, None)] {
            let flow = create(&handle, new(tuple)).await;
            for tuple in [flow.orig, flow.reply] {
                assert_eq!((tuple.src_port(), tuple.dst_port()), (port, port));
                assert_eq!(tuple.icmp_echo(), None);
            }
        }
    }
}

/// From Linux 6.17 on the kernel does not know the ports of DCCP, from 7.3 on those of UDP-Lite.
async fn what_kernels_forget_is_found_with_or_without_ports() {
    for protocol in [Protocol::DCCP, Protocol::UDPLITE] {
        with_or_without_ports(protocol).await;
    }
}

async fn with_or_without_ports(protocol: Protocol) {
    let handle = connect();
    let tuple = Tuple::new(protocol, at(v4(1), 4000), at(v4(2), 5000)).expect("one family");
    let flow = create(&handle, new(tuple).mark(7)).await;
    assert_eq!(flow.orig.protocol(), protocol);
    assert!(matches!(flow.orig.src_port(), Some(4000) | None));
    assert_eq!(mark_of(&handle, FlowKey::reply(tuple.inverse())).await, 7);
    // The flow as the kernel reported it is a key too.
    assert_eq!(mark_of(&handle, &flow).await, 7);
    let [listed] = &list(&handle).await[..] else {
        panic!("not one flow");
    };
    handle.delete(listed).await.expect("a delete");
    assert!(is_gone(&handle, tuple).await);
}

async fn an_icmp_answer_has_the_other_type() {
    let handle = connect();
    let (IpAddr::V4(src), IpAddr::V4(dst)) = (v4(1), v4(2)) else {
        unreachable!("IPv4");
    };
    for (query, answer) in [(8, 0), (13, 14), (15, 16), (17, 18)] {
        let tuple = Tuple::icmp(src, dst, IcmpEcho::new(query, 0, 77)).expect("a query");
        let flow = NewFlow::new(tuple, Duration::from_secs(100));
        let flow = create(&handle, flow).await;
        assert_eq!(flow.reply.icmp_echo(), Some(IcmpEcho::new(answer, 0, 77)));
    }
}

/// No packet makes such a flow, but the kernel accepts it in a request. The text of the flow is a
/// key, also from old kernels, which leave out some fields.
async fn icmp_over_the_other_family_is_found_by_its_text() {
    let handle = connect();
    let ask = |text: &str| text.parse::<Tuple>().expect("a tuple");
    for text in [
        "icmp src=fd01::1 dst=fd01::2 type=8 code=0 id=7",
        "icmpv6 src=10.1.0.1 dst=10.1.0.2 type=128 code=0 id=7",
    ] {
        let flow = create(&handle, new(ask(text)).mark(7)).await;
        assert_eq!(flow.orig.src(), ask(text).src());
        assert!(flow.orig.icmp_echo().is_none_or(|echo| echo.id() == 7));
        let [listed] = &list(&handle).await[..] else {
            panic!("not one flow");
        };
        let shown = format!("{} {}", listed.orig.protocol(), listed.orig);
        for named in [ask(text), ask(&shown)] {
            assert_eq!(mark_of(&handle, named).await, 7, "{named:?}");
        }
        handle.set_mark(ask(&shown), 8).await.expect("a mark");
        handle.delete(ask(text)).await.expect("a delete");
        assert!(is_gone(&handle, ask(text)).await);
    }
}

/// Its `peer_addr()` is an IPv4 address inside an IPv6 address, but the flow is IPv4.
async fn what_a_dual_stack_socket_gives_is_found() {
    let handle = connect();
    let mapped = |n, port| match v4(n) {
        IpAddr::V4(address) => at(address.to_ipv6_mapped().into(), port),
        IpAddr::V6(_) => unreachable!("IPv4"),
    };
    let plain = Tuple::tcp(at(v4(1), 4000), at(v4(2), 443)).expect("one family");
    let seen = Tuple::tcp(mapped(1, 4000), mapped(2, 443)).expect("one family");
    let flow = create(&handle, new(seen)).await;
    assert_eq!(flow.orig, plain);
    handle.set_mark(seen, 7).await.expect("a mark");
    assert_eq!(mark_of(&handle, plain).await, 7);
    handle.delete(seen).await.expect("a delete");
    assert!(is_gone(&handle, plain).await);

    let nat = Nat::to(mapped(9, 0).ip());
    let flow = create(&handle, new(plain).destination_nat(nat)).await;
    assert_eq!(flow.reply.src(), v4(9));
}
