//! Filters of events on real traffic: each receives the matching part of an unfiltered stream.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ctnetlink::{
    ConntrackHandle, Event, EventKinds, EventStream, Family, Filter, FilterBuilder, Flow, IpNet,
    KernelFilter, Masked, NatKind, ProtoInfo, Status, TcpState,
};
use libtest_mimic::Trial;

use super::next;
use crate::common::connect;
use crate::support::nft;
use crate::support::traffic::{UdpPair, packet, ping, raw, ruled, udp};
use crate::support::visible::{self, visible_when};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// The port of the last packet.
const LAST: u16 = 9099;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["events::traffic": what_matches_is_heard_and_nothing_else,]
}

/// Filters, each with the conditions that the kernel must compare.
fn filters() -> Vec<(KernelFilter, Filter)> {
    let any = Filter::builder;
    let net = |text: &str| text.parse::<IpNet>().expect("a network");
    let build = |filter: FilterBuilder| filter.build().expect("a filter");
    let udp = || any().protocol(17);
    let replied = Masked::new(Status::SEEN_REPLY, Status::SEEN_REPLY);
    let mut filters: Vec<_> = [
        (KernelFilter::FAMILY, any().family(Family::Ipv6)),
        (KernelFilter::PROTOCOL, udp()),
        (KernelFilter::PROTOCOL, any().protocol(47)),
        (KernelFilter::PROTOCOL, any().protocol(132)),
        (KernelFilter::ICMP_TYPE, any().protocol(1).icmp_type(8)),
        (KernelFilter::ICMP_ID, any().protocol(58).icmp_id(77)),
        (KernelFilter::ORIG_SRC, any().orig_src(net("127.0.0.0/8"))),
        (KernelFilter::ORIG_DST, any().orig_dst(net("::1/128"))),
        (
            KernelFilter::ORIG_DST_PORT,
            udp().orig_dst_port(9001..=9003),
        ),
        (KernelFilter::REPLY_SRC_PORT, udp().reply_src_port(9013)),
        (
            KernelFilter::REPLY_DST,
            any().reply_dst(net("127.0.0.5/32")),
        ),
        (KernelFilter::MARK, any().mark(0x2a)),
        (KernelFilter::MARK, any().mark(Masked::new(0x20, 0xf0))),
        (KernelFilter::STATUS, any().status(replied)),
        (KernelFilter::STATUS, any().nat(NatKind::Any)),
        (KernelFilter::ZONE, any().zone(9)),
        (KernelFilter::ZONE, any().zone(10)),
        (KernelFilter::ZONE, any().zone(0)),
    ]
    .map(|(condition, filter)| (condition, build(filter)))
    .into();
    let denied: Vec<_> = filters
        .iter()
        .map(|(_, filter)| (KernelFilter::NOT, build(any().not(filter.clone()))))
        .collect();
    let either = any().any_of([build(any().protocol(1)), build(udp().orig_dst_port(9001))]);
    filters.push((KernelFilter::ANY_OF, build(either)));
    filters.extend(denied);
    filters
}

async fn what_matches_is_heard_and_nothing_else() {
    nft::track().expect("a rule that tracks");
    ruled::rules();
    let handle = connect();
    // Without the ends of flows, because their contents differ between kernels.
    let kinds = EventKinds::NEW | EventKinds::UPDATE;
    let mut all = handle.events().kinds(kinds).await.expect("a stream");
    let mut streams = Vec::new();
    for (condition, filter) in filters() {
        let events = handle.events().kinds(kinds).filter(filter.clone());
        let events = events.await.expect("a stream");
        let compared = events.kernel_filtered();
        assert!(compared.contains(condition), "{filter}: {compared:?}");
        streams.push((filter, events));
    }
    // The kernel does not compare states.
    let established = Filter::builder().tcp_state(TcpState::ESTABLISHED);
    let established = established.build().expect("a filter");
    let in_part = handle.events().kinds(kinds).filter(established.clone());
    let in_part = in_part.await.expect("a stream");
    send(&handle).await;
    let mut heard = Vec::new();
    loop {
        let event = next(&mut all).await;
        let flow = event.flow().expect("a flow");
        let is_last = flow.orig.dst_port() == Some(LAST);
        heard.push(event);
        if is_last {
            break;
        }
    }
    for (filter, events) in streams {
        let (stats, wanted) = hears(events, &filter, &heard).await;
        assert!(wanted > 0, "{filter}: none matches");
        assert!(wanted < heard.len(), "{filter}: all match");
        assert_eq!(stats, wanted, "{filter}: more than matches was queued");
    }
    let (stats, wanted) = hears(in_part, &established, &heard).await;
    assert!(wanted > 0 && stats > wanted, "{wanted} of {stats}");
}

/// Compares the received events with those that match. Returns the number of both.
async fn hears(mut events: EventStream, filter: &Filter, heard: &[Event]) -> (usize, usize) {
    let matching = heard.iter().filter(|event| {
        let flow = event.flow().expect("a flow");
        filter.matches(flow)
    });
    let mut wanted: Vec<_> = matching.map(Event::to_string).collect();
    let mut found = Vec::new();
    while found.len() < wanted.len() {
        found.push(next(&mut events).await.to_string());
    }
    // Two events at the same time may reach the two sockets in different orders.
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted, "{filter}");
    (events.stats().received as usize, wanted.len())
}

fn at(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip, port)
}

async fn send(handle: &ConntrackHandle) {
    for ip in [V4, V6] {
        let (connection, flow) = visible::tcp(handle, at(ip, 0)).await.expect("a connection");
        connection.close().await.expect("to close");
        // The last packet may still be in flight when both ends are closed.
        let is_over = |state| state == TcpState::TIME_WAIT;
        visible_when(handle, flow.orig, |flow| state(flow).is_some_and(is_over)).await;
        let mut pair = UdpPair::new(at(ip, 0)).expect("sockets");
        pair.send().expect("a question");
        pair.reply().expect("an answer");
        ping(ip, ip, 77).expect("an echo");
        raw(packet::GRE, ip, ip, &packet::gre_pptp(5)).expect("GRE");
        raw(packet::SCTP, ip, ip, &packet::sctp_init(1, 2, 3)).expect("SCTP");
        ruled::packets(ip);
    }
    ruled::translated();
    udp(None, at(V4, LAST)).expect("a datagram");
}

fn state(flow: &Flow) -> Option<TcpState> {
    match &flow.protoinfo {
        Some(ProtoInfo::Tcp(info)) => Some(info.state),
        _ => None,
    }
}
