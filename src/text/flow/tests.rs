//! Lines that conntrack(8) 1.4.7 printed on Linux 6.18; those of offloaded flows, security
//! contexts and DCCP states come from libnetfilter_conntrack 1.0.9, given such a flow.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::*;
use crate::flow::*;

const SRC: &str = "10.0.0.1";
const DST: &str = "10.0.0.2";

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip(address), port)
}

/// An unreplied flow, as `conntrack -I` makes it.
fn made(orig: Tuple) -> Flow {
    Flow {
        status: Status::CONFIRMED,
        timeout: Some(Duration::from_secs(99_999)),
        mark: Some(0),
        use_count: Some(1),
        ..Flow::new(orig, orig.inverse())
    }
}

fn udp(dport: u16) -> Flow {
    made(Tuple::udp(at(SRC, 1), at(DST, dport)).unwrap())
}

fn tcp() -> Flow {
    made(Tuple::tcp(at(SRC, 1), at(DST, 2)).unwrap())
}

fn with_rare(flow: Flow, rare: Rare) -> Flow {
    Flow {
        rare: Some(Box::new(rare)),
        ..flow
    }
}

#[track_caller]
fn prints(flow: &Flow, line: &str) {
    assert_eq!(flow.to_string(), line);
}

#[test]
fn protocols() {
    let sctp = Flow {
        protoinfo: Some(ProtoInfo::from(SctpInfo {
            state: SctpState::ESTABLISHED,
            vtag_orig: Some(5),
            vtag_reply: Some(6),
        })),
        ..made(Tuple::sctp(at(SRC, 1), at(DST, 5)).unwrap())
    };
    prints(
        &sctp,
        "sctp     132 99999 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=1 dport=5 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=5 dport=1 mark=0 use=1",
    );
    for (tuple, line) in [
        (
            Tuple::udplite(at(SRC, 1), at(DST, 5)),
            "udplite  136 99999 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=5 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=5 dport=1 mark=0 use=1",
        ),
        (
            Tuple::generic(ip(SRC), ip(DST), 33),
            "dccp     33 99999 src=10.0.0.1 dst=10.0.0.2 sport=0 dport=0 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=0 dport=0 mark=0 use=1",
        ),
        (
            Tuple::gre(ip(SRC), ip(DST), 5, 0xffff),
            "gre      47 99999 src=10.0.0.1 dst=10.0.0.2 srckey=0x5 dstkey=0xffff [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 srckey=0xffff dstkey=0x5 mark=0 use=1",
        ),
        (
            Tuple::gre(ip(SRC), ip(DST), 0, 0),
            "gre      47 99999 src=10.0.0.1 dst=10.0.0.2 srckey=0x0 dstkey=0x0 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 srckey=0x0 dstkey=0x0 mark=0 use=1",
        ),
        (
            Tuple::generic(ip(SRC), ip(DST), 89),
            "unknown  89 99999 src=10.0.0.1 dst=10.0.0.2 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 mark=0 use=1",
        ),
        (
            Tuple::icmp(
                SRC.parse().unwrap(),
                DST.parse().unwrap(),
                IcmpEcho::new(13, 0, 77),
            ),
            "icmp     1 99999 src=10.0.0.1 dst=10.0.0.2 type=13 code=0 id=77 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 type=14 code=0 id=77 mark=0 use=1",
        ),
        (
            Tuple::icmpv6(
                "fd00::1".parse().unwrap(),
                "fd00::2".parse().unwrap(),
                IcmpEcho::request_v6(9),
            ),
            "icmpv6   58 99999 src=fd00::1 dst=fd00::2 type=128 code=0 id=9 [UNREPLIED] src=fd00::2 dst=fd00::1 type=129 code=0 id=9 mark=0 use=1",
        ),
    ] {
        prints(&made(tuple.unwrap()), line);
    }
}

#[test]
fn states() {
    let flow = |info: ProtoInfo| Flow {
        protoinfo: Some(info),
        ..tcp()
    };
    let dccp = |state| {
        ProtoInfo::from(DccpInfo {
            state,
            role: Some(0),
            handshake_seq: None,
        })
    };
    for (info, word) in [
        (TcpState::NONE.into(), " NONE"),
        (TcpState::SYN_SENT2.into(), " SYN_SENT2"),
        (TcpState::from(11).into(), " NONE"),
        (dccp(DccpState::PARTOPEN), " PARTOPEN"),
        (dccp(DccpState::from(10)), " NONE"),
        (ProtoInfo::Other, ""),
    ] {
        prints(
            &flow(info),
            &format!(
                "tcp      6 99999{word} src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1 mark=0 use=1"
            ),
        );
    }
}

#[test]
fn zones() {
    for (zone, [orig, reply, both]) in [
        (Zone::new(5), ["", "", " zone=5"]),
        (Zone::orig(6), [" zone-orig=6", "", ""]),
        (Zone::reply(7), ["", " zone-reply=7", ""]),
        (Zone::default(), ["", "", ""]),
    ] {
        prints(
            &Flow { zone, ..udp(3) },
            &format!(
                "udp      17 99999 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=3{orig} [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=3 dport=1{reply} mark=0{both} use=1"
            ),
        );
    }
}

#[test]
fn status() {
    let offloaded = Status::OFFLOAD | Status::ASSURED;
    for (status, [reply, end]) in [
        (Status::CONFIRMED, [" [UNREPLIED]", ""]),
        (Status::SEEN_REPLY, ["", ""]),
        (Status::ASSURED, [" [UNREPLIED]", " [ASSURED]"]),
        (Status::SEEN_REPLY | Status::ASSURED, ["", " [ASSURED]"]),
        (offloaded, [" [UNREPLIED]", " [OFFLOAD]"]),
        (
            offloaded | Status::HW_OFFLOAD,
            [" [UNREPLIED]", " [HW_OFFLOAD]"],
        ),
        (Status::from_bits_retain(0xffff_0000), [" [UNREPLIED]", ""]),
    ] {
        let flow = Flow {
            status,
            timeout: None,
            ..udp(2)
        };
        prints(
            &flow,
            &format!(
                "udp      17 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2{reply} src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1{end} mark=0 use=1"
            ),
        );
    }
}

#[test]
fn everything_at_once() {
    let counters = |packets, bytes| Some(Counters { packets, bytes });
    let at_second = |second| UNIX_EPOCH + Duration::from_secs(second);
    let flow = Flow {
        timeout: Some(Duration::from_secs(5)),
        protoinfo: Some(TcpState::ESTABLISHED.into()),
        counters_orig: counters(3, 4),
        counters_reply: counters(u64::MAX, 6),
        mark: Some(9),
        zone: Zone::new(7),
        labels: Some(Labels::ALL),
        synproxy: Some(SynProxy::default()),
        use_count: Some(2),
        id: crate::wire::attr::Value::read(&[0xde, 0xad, 0xbe, 0xef]),
        ..tcp()
    };
    let flow = with_rare(
        flow,
        Rare {
            secctx: Some(SecCtx {
                name: "system_u:x".into(),
            }),
            timestamp: Some(Timestamp {
                start: at_second(5) + Duration::from_nanos(999_999_999),
                stop: Some(at_second(8)),
            }),
            helper: Some(Helper {
                name: "ftp".into(),
                info: None,
            }),
            master: Some(Tuple::tcp(at("9.9.9.9", 5), at("8.8.8.8", 21)).unwrap()),
            seqadj_orig: Some(SeqAdj::default()),
            ..Rare::default()
        },
    );
    let line = "tcp      6 5 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 packets=3 bytes=4 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1 packets=18446744073709551615 bytes=6 mark=9 secctx=system_u:x zone=7 delta-time=3 helper=ftp use=2";
    prints(&flow, line);
    assert_eq!(
        format!("{flow:#}"),
        format!("ipv4     2 {line} id=3735928559")
    );
}

#[test]
fn extended_names_the_family() {
    let flow = made(Tuple::udp(at("fd00::1", 1), at("fd00::2", 6)).unwrap());
    assert_eq!(
        format!("{flow:#}"),
        "ipv6     10 udp      17 99999 src=fd00::1 dst=fd00::2 sport=1 dport=6 [UNREPLIED] src=fd00::2 dst=fd00::1 sport=6 dport=1 mark=0 use=1"
    );
}

#[test]
fn the_age_of_a_flow_counts_from_now() {
    let age = |start, stop| delta_time(&Timestamp { start, stop });
    let now = SystemTime::now();
    let hour = Duration::from_secs(3600);
    assert!((3600..3660).contains(&age(now - hour, None)));
    assert!((3600..3660).contains(&age(now - hour, Some(UNIX_EPOCH))));
    // As conntrack(8) prints it.
    let second = Duration::from_secs(1);
    let (start, stop) = (UNIX_EPOCH + second * 5, UNIX_EPOCH + second * 3);
    assert_eq!(age(start, Some(stop)), 18_446_744_073_709_551_614);
}
