//! Messages of the kernel, decoded and encoded again.

use std::time::{Duration, UNIX_EPOCH};

use super::message;
use crate::flow::*;
use crate::wire::attr::{Attribute, Attributes, align4};
use crate::wire::golden::{bytes, replies, reply};

const HEADERS: usize = 20;

fn flow(name: &str) -> Flow {
    Flow::from_message(&reply(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn tcp(src: &str, dst: &str) -> Tuple {
    Tuple::tcp(src.parse().unwrap(), dst.parse().unwrap()).unwrap()
}

fn udp(src: &str, dst: &str) -> Tuple {
    Tuple::udp(src.parse().unwrap(), dst.parse().unwrap()).unwrap()
}

fn counted(packets: u64, bytes: u64) -> Option<Counters> {
    Some(Counters { packets, bytes })
}

fn nanos(nanos: u64) -> std::time::SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanos)
}

fn began(at: u64) -> Option<Box<Rare>> {
    Some(Box::new(Rare {
        timestamp: Some(Timestamp {
            start: nanos(at),
            stop: None,
        }),
        ..Rare::default()
    }))
}

fn happened(at: u64) -> Option<Box<Rare>> {
    Some(Box::new(Rare {
        event_timestamp: Some(nanos(at)),
        ..Rare::default()
    }))
}

/// The attributes that a dump has for every flow.
fn dumped(orig: Tuple, reply: Tuple, id: u32) -> Flow {
    Flow {
        status: Status::CONFIRMED | Status::SRC_NAT_DONE | Status::DST_NAT_DONE,
        timeout: Some(Duration::from_secs(29)),
        mark: Some(0),
        counters_orig: counted(1, 29),
        counters_reply: counted(0, 0),
        id: Some(FlowId(id.to_be_bytes())),
        use_count: Some(1),
        ..Flow::new(orig, reply)
    }
}

#[test]
fn tcp_of_ipv4() {
    let orig = tcp("127.0.0.1:45356", "127.0.0.1:8443");
    let flags = TcpFlags::WINDOW_SCALE | TcpFlags::SACK_PERM | TcpFlags::MAXACK_SET;
    let expected = Flow {
        status: Status::from_bits_retain(0x18e),
        timeout: Some(Duration::from_secs(431_999)),
        protoinfo: Some(ProtoInfo::Tcp(TcpInfo {
            state: TcpState::ESTABLISHED,
            wscale_orig: Some(10),
            wscale_reply: Some(10),
            flags_orig: Some(flags.into()),
            flags_reply: Some(flags.into()),
        })),
        counters_orig: counted(4, 221),
        counters_reply: counted(3, 165),
        rare: began(0x18ea_b811_638d_7773),
        ..dumped(orig, orig.inverse(), 0x6fc1_83d2)
    };
    assert_eq!(flow("tcp_ipv4"), expected);
}

#[test]
fn udp_of_ipv6() {
    let orig = udp("[::1]:40000", "[::1]:5353");
    let expected = Flow {
        status: Status::CONFIRMED | Status::SEEN_REPLY,
        counters_orig: counted(1, 49),
        counters_reply: counted(1, 49),
        rare: began(0x18ea_b811_6391_6688),
        ..dumped(orig, orig.inverse(), 0xe14d_5a84)
    };
    assert_eq!(flow("udp_ipv6"), expected);
}

#[test]
fn icmpv6_query() {
    let host = "::1".parse().unwrap();
    let orig = Tuple::icmpv6(host, host, IcmpEcho::request_v6(0x1234)).unwrap();
    let expected = Flow {
        status: Status::CONFIRMED | Status::SEEN_REPLY,
        counters_orig: counted(1, 52),
        counters_reply: counted(1, 52),
        rare: began(0x18ea_b811_6395_8846),
        ..dumped(orig, orig.inverse(), 0x570f_c955)
    };
    assert_eq!(flow("icmpv6"), expected);
}

#[test]
fn a_protocol_without_ports_has_none() {
    let host = "127.0.0.1".parse().unwrap();
    let orig = Tuple::generic(host, host, 89).unwrap();
    let expected = Flow {
        timeout: Some(Duration::from_secs(599)),
        counters_orig: counted(1, 24),
        rare: began(0x18ea_b811_6395_f987),
        ..dumped(orig, orig.inverse(), 0x05e0_dbbf)
    };
    let flow = flow("generic");
    assert_eq!(flow, expected);
    assert_eq!((flow.orig.src_port(), flow.orig.dst_port()), (None, None));
}

#[test]
fn sctp_association() {
    let ends = (
        "10.0.0.1:1000".parse().unwrap(),
        "10.0.0.2:20".parse().unwrap(),
    );
    let orig = Tuple::sctp(ends.0, ends.1).unwrap();
    let expected = Flow {
        status: Status::CONFIRMED,
        timeout: Some(Duration::from_secs(599)),
        protoinfo: Some(ProtoInfo::from(SctpInfo {
            state: SctpState::ESTABLISHED,
            vtag_orig: Some(11),
            vtag_reply: Some(22),
        })),
        counters_orig: counted(0, 0),
        synproxy: Some(SynProxy::default()),
        rare: began(0x18ea_b811_6399_0050),
        ..dumped(orig, orig.inverse(), 0x0379_aa53)
    };
    assert_eq!(flow("sctp"), expected);
}

#[test]
fn zones() {
    let orig = udp("127.0.0.1:41010", "127.0.0.1:9010");
    let both = Flow {
        zone: Zone::new(5),
        timeout: Some(Duration::from_secs(30)),
        rare: began(0x18ea_b811_6394_cc89),
        ..dumped(orig, orig.inverse(), 0x767b_9808)
    };
    assert_eq!(flow("zone"), both);

    let orig = udp("127.0.0.1:41011", "127.0.0.1:9011");
    let one = Flow {
        zone: Zone::orig(7),
        rare: began(0x18ea_b811_6395_1362),
        ..dumped(orig, orig.inverse(), 0xebf1_e47e)
    };
    assert_eq!(flow("zone_of_one_direction"), one);
}

#[test]
fn translated() {
    let orig = udp("127.0.0.1:41000", "127.0.0.1:9000");
    let reply = udp("127.0.0.1:9000", "192.0.2.77:6001");
    let source = Flow {
        status: Status::from_bits_retain(0x198),
        rare: began(0x18ea_b811_6393_c4a1),
        ..dumped(orig, reply, 0x64c7_8c1b)
    };
    assert_eq!(flow("source_nat"), source);
    assert!(source.status.contains(Status::SRC_NAT));

    let orig = udp("127.0.0.1:41001", "127.0.0.1:9001");
    let reply = udp("127.0.0.1:9002", "127.0.0.1:41001");
    let destination = Flow {
        status: Status::from_bits_retain(0x1a8),
        rare: began(0x18ea_b811_6394_1736),
        ..dumped(orig, reply, 0x918f_bee7)
    };
    assert_eq!(flow("destination_nat"), destination);
    assert!(destination.status.contains(Status::DST_NAT));
}

#[test]
fn mark_and_labels() {
    let orig = udp("127.0.0.1:41020", "127.0.0.1:9020");
    let expected = Flow {
        mark: Some(42),
        labels: Some(Labels::bit(3).unwrap()),
        rare: began(0x18ea_b811_6394_7e7d),
        ..dumped(orig, orig.inverse(), 0x108a_296a)
    };
    assert_eq!(flow("marked_and_labelled"), expected);
}

#[test]
fn rare_parts() {
    let orig = tcp("10.0.0.1:1000", "10.0.0.2:21");
    let flags = TcpFlags::WINDOW_SCALE | TcpFlags::SACK_PERM | TcpFlags::BE_LIBERAL;
    let expected = Flow {
        status: Status::CONFIRMED | Status::SEQ_ADJUST | Status::HELPER,
        timeout: Some(Duration::from_secs(600)),
        protoinfo: Some(ProtoInfo::Tcp(TcpInfo {
            state: TcpState::ESTABLISHED,
            wscale_orig: Some(7),
            wscale_reply: Some(10),
            flags_orig: Some(flags.into()),
            flags_reply: Some(flags.into()),
        })),
        counters_orig: counted(0, 0),
        synproxy: Some(SynProxy {
            isn: 1,
            its: 2,
            tsoff: 0xffff_fffe,
        }),
        use_count: Some(3),
        rare: Some(Box::new(Rare {
            helper: Some(Helper {
                name: "ftp".into(),
                info: None,
            }),
            seqadj_orig: Some(SeqAdj {
                correction_pos: 100,
                offset_before: -3,
                offset_after: 4,
            }),
            seqadj_reply: Some(SeqAdj {
                correction_pos: 9,
                offset_before: 0,
                offset_after: -1,
            }),
            ..*began(0x18ea_b811_6397_2802).unwrap()
        })),
        ..dumped(orig, orig.inverse(), 0x2fb9_1ed6)
    };
    assert_eq!(flow("get_with_helper"), expected);
}

/// A security context. To capture one, a machine needs a security module.
#[test]
fn security_context() {
    let orig = tcp("10.0.0.1:1", "10.0.0.2:2");
    let secctx = SecCtx {
        name: "system_u:object_r:t:s0".into(),
    };
    let mut flow = Flow::new(orig, orig.inverse());
    flow.rare = Some(Box::new(Rare {
        secctx: Some(secctx.clone()),
        ..Rare::default()
    }));
    let bytes = message(&flow);
    let nest = b"\x1b\0\x01\0system_u:object_r:t:s0\0";
    assert!(bytes.windows(nest.len()).any(|window| window == nest));
    let read = Flow::from_message(&bytes).unwrap();
    assert_eq!(read.secctx(), Some(&secctx));
}

#[test]
fn events() {
    let new = flow("new_tcp");
    assert_eq!(new.event_timestamp(), Some(&nanos(0x18ea_b811_638d_5e06)));
    assert_eq!(
        (new.mark, new.use_count, new.counters_orig),
        (None, None, None)
    );
    assert_eq!(new.id, flow("tcp_ipv4").id);
    assert_eq!(flow("update_tcp").orig, new.orig);

    let labelled = flow("new_labelled");
    assert_eq!(labelled.labels, Some(Labels::bit(3).unwrap()));
    assert_eq!(
        (labelled.mark, &labelled.rare),
        (Some(42), &happened(0x18ea_b811_6394_7917))
    );

    let expected = flow("new_expected");
    assert_eq!(
        expected.master(),
        Some(&tcp("10.0.0.1:1000", "10.0.0.2:21"))
    );
    assert!(expected.status.contains(Status::EXPECTED));
    assert_eq!(flow("update_mark").mark, Some(7));

    let destroyed = flow("destroy");
    assert!(destroyed.status.contains(Status::DYING));
    let timestamp = destroyed.timestamp().unwrap();
    assert_eq!(timestamp.start, nanos(0x18ea_b811_6398_86ba));
    assert_eq!(timestamp.stop, Some(nanos(0x18ea_b811_63a1_5029)));
    let state_alone = ProtoInfo::from(TcpState::NONE);
    assert_eq!(destroyed.protoinfo, Some(state_alone));
}

/// The attributes in the order of their numbers, without those that are never read.
fn canonical(attributes: &[u8], path: &[u16]) -> Vec<(u16, Vec<u8>)> {
    let mut found = Vec::new();
    let mut rest = attributes;
    while let Some(Attribute { kind, payload }) = Attributes(rest).next().unwrap() {
        let path = [path, &[kind]].concat();
        let payload = match (rest[3] & 0x80, &path[..]) {
            (0x80, _) => canonical(payload, &path)
                .into_iter()
                .flat_map(|(kind, payload)| [&kind.to_be_bytes()[..], &payload].concat())
                .collect(),
            // The kernel sends TCP flags with a mask of 0, which has no meaning.
            (_, [4, 1, 4 | 5]) => payload[..1].to_vec(),
            _ => payload.to_vec(),
        };
        let len = usize::from(u16::from_ne_bytes([rest[0], rest[1]]));
        rest = &rest[align4(len).min(rest.len())..];
        found.push((kind, payload));
    }
    found.sort();
    found
}

#[test]
fn nothing_is_lost_on_the_way() {
    let mut seen = 0;
    for (name, text) in replies() {
        let whole = bytes(text);
        if whole[5] != 1 {
            continue;
        }
        let again = message(&Flow::from_message(&whole).unwrap());
        assert_eq!(
            canonical(&again[HEADERS..], &[]),
            canonical(&whole[HEADERS..], &[]),
            "{name}"
        );
        seen += 1;
    }
    assert_eq!(seen, 17);
}
