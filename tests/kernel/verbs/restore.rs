//! A listed flow can be created again with its translation, and packets use it as before.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use ctnetlink::{
    ConntrackHandle, Flow, FlowKey, Nat, NewFlow, ProtoInfo, SctpInfo, SctpState, SeqAdj, Status,
    TcpFlags, TcpState, Tuple, Zone,
};
use libtest_mimic::Trial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::{
    all_protocols, at, connect, create, got, label, list, new, tcp, tcp6, udp, udp6, v4, v6,
};
use crate::support::nft::{self, Port};
use crate::support::patience;
use crate::support::peer::Peer;
use crate::support::traffic::TcpPair;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["restore":
        a_flow_with_another_source,
        a_flow_with_another_destination,
        a_connection_with_both_goes_on,
        a_related_flow_and_its_master,
        whatever_was_set,
        every_kind_of_translation,
    ]
}

const BOTH: [(IpAddr, IpAddr); 2] = [(Peer::NEAR_V4, Peer::FAR_V4), (Peer::NEAR_V6, Peer::FAR_V6)];

async fn a_flow_with_another_source() {
    let peer = Peer::new().await;
    let handle = connect();
    for (near, far) in BOTH {
        let server = peer.run(|| bind(at(far, 9001)));
        let client = bind(at(near, 0));
        let source = |port| nft::snat(Port::Udp(9001), at(near, port)).expect("a rule");
        let question = || ask(&client, at(far, 9001), &server);

        let rule = source(7777);
        assert_eq!(question(), at(near, 7777));
        let flow = only(&handle).await;
        assert!(flow.status.contains(Status::SRC_NAT | Status::SEEN_REPLY));
        // A new flow would now get another source.
        rule.delete().expect("no rule");
        let rule = source(8888);
        again(&handle, &flow).await;
        assert_eq!(question(), at(near, 7777));
        assert_eq!(only(&handle).await.orig, flow.orig);

        handle.delete(flow.orig).await.expect("a delete");
        assert_eq!(question(), at(near, 8888));
        handle.delete(flow.orig).await.expect("a delete");
        rule.delete().expect("no rule");
    }
}

async fn a_flow_with_another_destination() {
    let peer = Peer::new().await;
    let handle = connect();
    for (near, far) in BOTH {
        let servers = [9002, 9003].map(|port| peer.run(|| bind(at(far, port))));
        let client = bind(at(near, 0));
        let destination = |port| nft::dnat(Port::Udp(9001), at(far, port)).expect("a rule");
        let question = |server| ask(&client, at(far, 9001), server);

        let rule = destination(9002);
        question(&servers[0]);
        let flow = only(&handle).await;
        assert!(flow.status.contains(Status::DST_NAT | Status::SEEN_REPLY));
        rule.delete().expect("no rule");
        let rule = destination(9003);
        again(&handle, &flow).await;
        question(&servers[0]);
        assert_eq!(only(&handle).await.orig, flow.orig);

        handle.delete(flow.orig).await.expect("a delete");
        question(&servers[1]);
        handle.delete(flow.orig).await.expect("a delete");
        rule.delete().expect("no rule");
    }
}

/// The window of a TCP connection cannot be restored, but its packets must pass.
async fn a_connection_with_both_goes_on() {
    let peer = Peer::new().await;
    let handle = connect();
    for (near, far) in BOTH {
        let behind = at(far, 9002);
        let rules = |port| {
            let source = nft::snat(Port::Tcp(9002), at(near, port)).expect("a rule");
            let destination = nft::dnat(Port::Tcp(9001), behind).expect("a rule");
            [source, destination]
        };
        let old = rules(7777);
        let listener = peer.run(|| TcpListener::bind(behind)).expect("a server");
        let pair = TcpPair::through(listener, None, at(far, 9001)).await;
        let mut pair = pair.expect("a connection");
        assert_eq!(pair.server.peer_addr().expect("a client"), at(near, 7777));

        let flow = at_rest(&handle).await;
        assert!(flow.status.contains(Status::SRC_NAT | Status::DST_NAT));
        for rule in old {
            rule.delete().expect("no rule");
        }
        let new = rules(8888);
        let restored = again(&handle, &flow).await;
        let Some(ProtoInfo::Tcp(info)) = &restored.protoinfo else {
            panic!("no state in {restored:?}");
        };
        assert_eq!(info.state, TcpState::ESTABLISHED);
        for _ in 0..2 {
            pass(&mut pair.client, &mut pair.server).await;
            pass(&mut pair.server, &mut pair.client).await;
        }
        let flow = at_rest(&handle).await;
        assert_eq!((flow.orig, flow.reply), (restored.orig, restored.reply));
        let seen = flow.counters_orig.zip(flow.counters_reply);
        let (orig, reply) = seen.expect("counters");
        assert!(orig.bytes > BULK as u64 && reply.bytes > BULK as u64);

        handle.delete(&flow).await.expect("a delete");
        for rule in new {
            rule.delete().expect("no rule");
        }
    }
}

const BULK: usize = 300_000;

/// Sends more bytes than a window.
async fn pass(from: &mut TcpStream, to: &mut TcpStream) {
    let sent = vec![0x5a; BULK];
    let mut received = vec![0; BULK];
    let passed = async { tokio::try_join!(from.write_all(&sent), to.read_exact(&mut received)) };
    let passed = timeout(patience::answer(), passed).await;
    passed.expect("the connection stands still").expect("bytes");
    assert_eq!(received, sent);
}

/// The only flow, when no packet is in flight. A packet between a delete and a create would create
/// a flow.
async fn at_rest(handle: &ConntrackHandle) -> Flow {
    let mut last = only(handle).await;
    loop {
        sleep(Duration::from_millis(300)).await;
        let now = got(handle, last.orig).await;
        if (now.counters_orig, now.counters_reply) == (last.counters_orig, last.counters_reply) {
            return now;
        }
        last = now;
    }
}

async fn a_related_flow_and_its_master() {
    let handle = connect();
    for (master, child) in [(tcp(1), udp(1)), (tcp6(1), udp6(1))] {
        let flow = new(master).helper("ftp").tcp_state(TcpState::ESTABLISHED);
        handle.create(flow).await.expect("a master");
        handle
            .create(new(child).master(master))
            .await
            .expect("a child");
        let (master, child) = (got(&handle, master).await, got(&handle, child).await);
        assert!(child.status.contains(Status::EXPECTED));
        again(&handle, &child).await;
        handle.delete(child.orig).await.expect("a delete");
        again(&handle, &master).await;
        handle.create(&child).await.expect("a child");
        same(&got(&handle, child.orig).await, &child);
    }
}

async fn whatever_was_set() {
    nft::labels().expect("a rule that uses labels");
    let handle = connect();
    let adjusted = SeqAdj::new(1, -2, 3);
    let sctp = Tuple::sctp(at(v4(1), 1), at(v4(2), 2)).expect("one family");
    let sctp_info = SctpInfo::new(SctpState::ESTABLISHED, 5, 6);
    let generic = Tuple::generic(v6(1), v6(2), 89).expect("one family");
    let flows = [
        new(udp(1))
            .mark(u32::MAX)
            .labels(label(3) | label(127))
            .zone(5),
        new(udp6(2)).zone(Zone::orig(6)),
        new(udp(3)).zone(Zone::reply(7)),
        new(udp6(4)).status(Status::ASSURED | Status::SEEN_REPLY | Status::FIXED_TIMEOUT),
        new(udp(5)).reply(udp(6).inverse()).mark(0),
        new(tcp6(7))
            .tcp_state(TcpState::TIME_WAIT)
            .seqadj_orig(adjusted),
        new(tcp(8)).seqadj_reply(adjusted).helper("ftp"),
        new(sctp).protoinfo(sctp_info),
        new(generic),
    ];
    for flow in flows {
        handle.create(flow).await.expect("a flow");
    }
    for flow in list(&handle).await {
        again(&handle, &flow).await;
    }
}

async fn every_kind_of_translation() {
    let handle = connect();
    for tuple in all_protocols(1) {
        let (source, destination) = match tuple.src().is_ipv4() {
            true => (Nat::to(v4(98)), Nat::to(v4(99))),
            false => (Nat::to(v6(98)), Nat::to(v6(99))),
        };
        let mut flows = vec![
            new(tuple).source_nat(source),
            new(tuple).destination_nat(destination),
            new(tuple).source_nat(source).destination_nat(destination),
        ];
        // GRE has keys instead of ports, and no request translates them.
        if tuple.src_socket().is_some() || tuple.icmp_echo().is_some() {
            flows.push(new(tuple).source_nat(source.port(7)));
        }
        if tuple.dst_socket().is_some() {
            flows.push(new(tuple).destination_nat(destination.port(8)));
        }
        for flow in flows {
            let flow = create(&handle, flow).await;
            assert_ne!(flow.reply, tuple.inverse());
            again(&handle, &flow).await;
            handle.delete(tuple).await.expect("a delete");
        }
    }
}

/// Deletes the flow, and creates it again from its `Flow`.
async fn again(handle: &ConntrackHandle, flow: &Flow) -> Flow {
    handle.delete(flow).await.expect("a delete");
    handle.create(NewFlow::from(flow)).await.expect("a create");
    let key = FlowKey::from(flow.orig).zone(flow.zone);
    let restored = got(handle, key).await;
    same(&restored, flow);
    restored
}

#[track_caller]
fn same(now: &Flow, was: &Flow) {
    assert_eq!(
        (now.orig, now.reply, now.zone),
        (was.orig, was.reply, was.zone)
    );
    assert_eq!(
        (now.status, now.mark, now.labels),
        (was.status, was.mark, was.labels)
    );
    assert_eq!(lasting(now), lasting(was));
    assert_eq!((now.helper(), now.master()), (was.helper(), was.master()));
    assert_eq!(now.seqadj_orig(), was.seqadj_orig());
    assert_eq!(now.seqadj_reply(), was.seqadj_reply());
    // A request creates the flow with one that has only zeros.
    assert_eq!(
        now.synproxy.unwrap_or_default(),
        was.synproxy.unwrap_or_default()
    );
    let (now, was) = now.timeout.zip(was.timeout).expect("timeouts");
    assert!(
        now <= was && was - now < patience::secs(5),
        "{now:?}, {was:?}"
    );
}

/// The state of a flow's protocol, without the flags that belong to a TCP window.
fn lasting(flow: &Flow) -> Option<ProtoInfo> {
    let of_a_window =
        TcpFlags::MAXACK_SET | TcpFlags::EXP_CHALLENGE_ACK | TcpFlags::DATA_UNACKNOWLEDGED;
    let mut protoinfo = flow.protoinfo.clone();
    if let Some(ProtoInfo::Tcp(info)) = &mut protoinfo {
        for flags in [&mut info.flags_orig, &mut info.flags_reply] {
            *flags = flags.map(|flags| (flags.value() - of_a_window).into());
        }
    }
    protoinfo
}

/// The only flow of the table.
async fn only(handle: &ConntrackHandle) -> Flow {
    let mut flows = list(handle).await;
    assert_eq!(flows.len(), 1, "{flows:?}");
    flows.remove(0)
}

fn bind(address: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(address).expect("a socket");
    socket
        .set_read_timeout(Some(patience::answer()))
        .expect("a timeout");
    socket
}

/// Sends a datagram and its answer, and returns the client's address as the server saw it.
fn ask(client: &UdpSocket, dialled: SocketAddr, server: &UdpSocket) -> SocketAddr {
    client.send_to(b"question", dialled).expect("a question");
    let (_, seen) = server.recv_from(&mut [0; 64]).expect("a question");
    server.send_to(b"answer", seen).expect("an answer");
    let (_, from) = client.recv_from(&mut [0; 64]).expect("an answer");
    assert_eq!(from, dialled);
    seen
}
