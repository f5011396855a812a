//! Packets create flows, reply to them and refresh them.

use std::time::Duration;

use ctnetlink::testing::Kernel;
use ctnetlink::{Flow, FlowKey, ProtoInfo, Status, TcpState, Tuple};

use crate::{tcp, udp};

fn only(kernel: &Kernel) -> Flow {
    let [flow]: [Flow; 1] = kernel.flows().try_into().unwrap();
    flow
}

#[test]
fn the_handshake_of_tcp() {
    let kernel = Kernel::release("6.18").unwrap().accounting(true).build();
    let state = |flow: &Flow| match flow.protoinfo {
        Some(ProtoInfo::Tcp(tcp)) => tcp.state,
        _ => panic!("{flow:?}"),
    };
    kernel.packet(tcp(1), 60);
    assert_eq!(state(&only(&kernel)), TcpState::SYN_SENT);
    kernel.packet(tcp(1).inverse(), 60);
    assert_eq!(state(&only(&kernel)), TcpState::SYN_RECV);
    kernel.packet(tcp(1), 52);
    let flow = only(&kernel);
    assert_eq!(state(&flow), TcpState::ESTABLISHED);
    assert_eq!(
        flow.status,
        Status::CONFIRMED | Status::SEEN_REPLY | Status::ASSURED
    );
    assert_eq!(flow.timeout, Some(Duration::from_secs(432_000)));
    let counted = flow.counters_orig.unwrap();
    assert_eq!((counted.packets, counted.bytes), (2, 112));
    assert_eq!(flow.counters_reply.unwrap().packets, 1);
}

#[test]
fn each_packet_gives_a_flow_new_time() {
    let kernel = Kernel::new();
    kernel.packet(udp(1), 100);
    for _ in 0..3 {
        kernel.advance(Duration::from_secs(29));
        kernel.packet(udp(1), 100);
    }
    kernel.advance(Duration::from_secs(30));
    assert_eq!(kernel.flows(), []);
}

#[test]
fn zones_have_flows_of_their_own() {
    let kernel = Kernel::new();
    kernel.packet(udp(1), 100);
    kernel.packet(FlowKey::from(udp(1)).zone(3), 100);
    assert_eq!(kernel.flows().len(), 2);
}

#[test]
fn a_packet_of_no_kernel_is_no_flow() {
    let kernel = Kernel::new();
    let error = ctnetlink::IcmpEcho::new(3, 0, 0);
    if let Ok(tuple) = Tuple::icmp([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), error) {
        kernel.packet(tuple, 100);
    }
    assert_eq!(kernel.flows(), []);
}
