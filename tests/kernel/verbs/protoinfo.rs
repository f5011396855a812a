//! The state of TCP and SCTP flows.

use std::net::Ipv4Addr;

use ctnetlink::{Flow, Masked, ProtoInfo, SctpInfo, SctpState, TcpFlags, TcpInfo, TcpState, Tuple};
use libtest_mimic::Trial;

use super::{at, connect, create, got, new, tcp, tcp6, v4, v6};
use crate::support::nft;
use crate::support::visible;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["protoinfo":
        a_created_tcp_flow_is_liberal,
        a_created_tcp_flow_has_what_was_given,
        every_tcp_state_can_be_set,
        a_state_leaves_flags_and_scales,
        flags_change_under_their_mask,
        scales_go_with_their_flags,
        sctp_has_a_state_and_two_tags,
        a_real_connections_state_can_be_set,
    ]
}

fn tcp_info(flow: &Flow) -> TcpInfo {
    match &flow.protoinfo {
        Some(ProtoInfo::Tcp(info)) => *info,
        other => panic!("{other:?} in {flow:?}"),
    }
}

/// All flags of both directions.
fn flags(info: TcpInfo) -> (TcpFlags, TcpFlags) {
    let both = info.flags_orig.zip(info.flags_reply);
    let (orig, reply) = both.expect("flags");
    (orig.value(), reply.value())
}

const LIBERAL: TcpFlags = TcpFlags::BE_LIBERAL.union(TcpFlags::SACK_PERM);

/// A TCP flow with scales 7 and 9.
fn scaled() -> TcpInfo {
    let flags = LIBERAL | TcpFlags::WINDOW_SCALE;
    TcpInfo::new(TcpState::ESTABLISHED)
        .wscale(7, 9)
        .flags(flags, flags)
}

async fn a_created_tcp_flow_is_liberal() {
    let handle = connect();
    for (tuple, state) in [
        (tcp(1), TcpState::ESTABLISHED),
        (tcp6(1), TcpState::SYN_SENT),
    ] {
        let info = tcp_info(&create(&handle, new(tuple).tcp_state(state)).await);
        assert_eq!((info.state, flags(info)), (state, (LIBERAL, LIBERAL)));
    }
    let info = tcp_info(&create(&handle, new(tcp(2))).await);
    assert_eq!(info.state, TcpState::NONE);
    assert_eq!(flags(info), (TcpFlags::empty(), TcpFlags::empty()));
}

async fn a_created_tcp_flow_has_what_was_given() {
    let handle = connect();
    let info = tcp_info(&create(&handle, new(tcp(1)).protoinfo(scaled())).await);
    assert_eq!(info, scaled());
}

async fn every_tcp_state_can_be_set() {
    let handle = connect();
    create(&handle, new(tcp(1))).await;
    for state in (0..=9).map(TcpState::from) {
        let update = handle.update(tcp(1)).tcp_state(state);
        update.await.expect("a state");
        assert_eq!(tcp_info(&got(&handle, tcp(1)).await).state, state);
    }
}

async fn a_state_leaves_flags_and_scales() {
    let handle = connect();
    create(&handle, new(tcp6(1)).protoinfo(scaled())).await;
    let update = handle.update(tcp6(1)).tcp_state(TcpState::CLOSE_WAIT);
    update.await.expect("a state");
    let mut expected = scaled();
    expected.state = TcpState::CLOSE_WAIT;
    assert_eq!(tcp_info(&got(&handle, tcp6(1)).await), expected);
}

async fn flags_change_under_their_mask() {
    let handle = connect();
    create(&handle, new(tcp(1)).protoinfo(scaled())).await;
    let changed = TcpFlags::SACK_PERM | TcpFlags::MAXACK_SET;
    let mut change = TcpInfo::new(TcpState::ESTABLISHED);
    change.flags_reply = Some(Masked::new(TcpFlags::MAXACK_SET, changed));
    let update = handle.update(tcp(1)).protoinfo(change);
    update.await.expect("flags");
    let info = tcp_info(&got(&handle, tcp(1)).await);
    let (orig, reply) = flags(scaled());
    assert_eq!(
        flags(info),
        (orig, (reply - changed) | TcpFlags::MAXACK_SET)
    );
    assert_eq!((info.wscale_orig, info.wscale_reply), (Some(7), Some(9)));
}

async fn scales_go_with_their_flags() {
    let handle = connect();
    create(&handle, new(tcp(1)).tcp_state(TcpState::ESTABLISHED)).await;
    let scale = Masked::new(TcpFlags::WINDOW_SCALE, TcpFlags::WINDOW_SCALE);
    let change = scaled().flags(scale, scale);
    let update = handle.update(tcp(1)).protoinfo(change);
    update.await.expect("scales");
    assert_eq!(tcp_info(&got(&handle, tcp(1)).await), scaled());
    // The flow has scales now, and they can be changed alone.
    let change = TcpInfo::new(TcpState::ESTABLISHED).wscale(0, 14);
    let update = handle.update(tcp(1)).protoinfo(change);
    update.await.expect("scales");
    let info = tcp_info(&got(&handle, tcp(1)).await);
    assert_eq!((info.wscale_orig, info.wscale_reply), (Some(0), Some(14)));
}

async fn sctp_has_a_state_and_two_tags() {
    let handle = connect();
    for (src, dst) in [(v4(1), v4(2)), (v6(1), v6(2))] {
        let tuple = Tuple::sctp(at(src, 1000), at(dst, 2000)).expect("one family");
        let info = |state, orig, reply| SctpInfo::new(state, orig, reply);
        let shown = |flow: Flow| flow.protoinfo;
        let closed = info(SctpState::CLOSED, 0, 0x0102_0304);
        let flow = create(&handle, new(tuple).protoinfo(closed)).await;
        assert_eq!(shown(flow), Some(closed.into()));
        for state in (0..=8).map(SctpState::from) {
            let info = info(state, u32::MAX, 7);
            let update = handle.update(tuple).protoinfo(info);
            update.await.expect("a state");
            assert_eq!(shown(got(&handle, tuple).await), Some(info.into()));
        }
    }
}

async fn a_real_connections_state_can_be_set() {
    nft::track().expect("a rule that tracks");
    let handle = connect();
    let tcp = visible::tcp(&handle, at(Ipv4Addr::LOCALHOST.into(), 0)).await;
    let (mut pair, flow) = tcp.expect("a connection");
    let before = tcp_info(&flow);
    assert_eq!(before.state, TcpState::ESTABLISHED);
    let update = handle.update(&flow).tcp_state(TcpState::CLOSE_WAIT);
    update.await.expect("a state");
    let now = tcp_info(&got(&handle, &flow).await);
    assert_eq!(now.state, TcpState::CLOSE_WAIT);
    assert!(flags(now).0.contains(TcpFlags::WINDOW_SCALE));
    assert_eq!(
        (now.wscale_orig, now.wscale_reply),
        (before.wscale_orig, before.wscale_reply)
    );
    pair.exchange().await.expect("bytes go on");
}
