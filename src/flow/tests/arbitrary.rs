//! Every flow that the types can hold and the kernel could send.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use crate::flow::tuple::has_ports;
use crate::flow::*;

pub(crate) fn flow() -> impl Strategy<Value = Flow> {
    let state = (
        any::<u32>().prop_map(Status::from_bits_retain),
        of(any::<u32>().prop_map(|seconds| Duration::from_secs(seconds.into()))),
        of(any::<u32>()),
        of(protoinfo()),
        of(labels()),
        of(any::<[u8; 4]>().prop_map(FlowId)),
        of(any::<u32>()),
    );
    let counts = (of(counters()), of(counters()), of(synproxy()));
    (tuple(), tuple(), zone(), state, counts, rare()).prop_map(
        |(orig, reply, zone, state, counts, rare)| {
            let (status, timeout, mark, protoinfo, labels, id, use_count) = state;
            let (counters_orig, counters_reply, synproxy) = counts;
            Flow {
                orig,
                reply,
                zone,
                status,
                timeout,
                mark,
                protoinfo,
                counters_orig,
                counters_reply,
                labels,
                synproxy,
                id,
                use_count,
                rare,
            }
        },
    )
}

pub(super) fn tuple() -> impl Strategy<Value = Tuple> {
    let v4 = (any::<Ipv4Addr>(), any::<Ipv4Addr>());
    // IPv4-mapped addresses would be read as IPv4.
    let address = || {
        any::<Ipv6Addr>().prop_map(|address| match address.to_ipv4_mapped() {
            Some(plain) => plain.to_ipv6_compatible(),
            None => address,
        })
    };
    let v6 = (address(), address());
    let addresses = prop_oneof![
        v4.prop_map(|(src, dst)| (IpAddr::V4(src), IpAddr::V4(dst))),
        v6.prop_map(|(src, dst)| (IpAddr::V6(src), IpAddr::V6(dst))),
    ];
    (addresses, any::<(u8, u8, u8, u16, u16)>()).prop_map(
        |((src, dst), (which, protocol, code, a, b))| {
            let ends = (SocketAddr::new(src, a), SocketAddr::new(dst, b));
            let made = match (which % 8, src, dst) {
                (0, ..) => Tuple::tcp(ends.0, ends.1),
                (1, ..) => Tuple::udp(ends.0, ends.1),
                (2, ..) => Tuple::udplite(ends.0, ends.1),
                (3, ..) => Tuple::sctp(ends.0, ends.1),
                (4, ..) => Tuple::dccp(ends.0, ends.1),
                (5, ..) => Tuple::gre(src, dst, a, b),
                (6, IpAddr::V4(src), IpAddr::V4(dst)) => {
                    let kind = [0, 8, 13, 14, 15, 16, 17, 18][usize::from(protocol % 8)];
                    Tuple::icmp(src, dst, IcmpEcho::new(kind, code, a))
                }
                (6, IpAddr::V6(src), IpAddr::V6(dst)) => {
                    let kind = [128, 129, 139, 140][usize::from(protocol % 4)];
                    Tuple::icmpv6(src, dst, IcmpEcho::new(kind, code, a))
                }
                // Kernels that know the protocol's ports require them.
                _ if has_ports(protocol) => Tuple::generic(src, dst, 89),
                _ => Tuple::generic(src, dst, protocol).or_else(|_| Tuple::generic(src, dst, 89)),
            };
            made.expect("a tuple")
        },
    )
}

fn zone() -> impl Strategy<Value = Zone> {
    (0..3, any::<u16>()).prop_map(|(direction, id)| match direction {
        0 => Zone::new(id),
        1 => Zone::orig(id),
        _ => Zone::reply(id),
    })
}

fn labels() -> impl Strategy<Value = Labels> {
    any::<u128>().prop_map(Labels::from)
}

fn counters() -> impl Strategy<Value = Counters> {
    any::<(u64, u64)>().prop_map(|(packets, bytes)| Counters { packets, bytes })
}

fn synproxy() -> impl Strategy<Value = SynProxy> {
    any::<(u32, u32, u32)>().prop_map(|(isn, its, tsoff)| SynProxy { isn, its, tsoff })
}

fn seqadj() -> impl Strategy<Value = SeqAdj> {
    any::<(u32, i32, i32)>().prop_map(|(correction_pos, offset_before, offset_after)| SeqAdj {
        correction_pos,
        offset_before,
        offset_after,
    })
}

fn protoinfo() -> impl Strategy<Value = ProtoInfo> {
    let flags = || {
        // A mask of 0 stands in dumps, and is read as all bits.
        of((any::<u8>(), 1..=u8::MAX).prop_map(|(flags, mask)| {
            let bits = TcpFlags::from_bits_retain;
            Masked::new(bits(flags & mask), bits(mask))
        }))
    };
    let scales = any::<(u8, Option<u8>, Option<u8>)>();
    let tcp = (scales, flags(), flags()).prop_map(|(scales, flags_orig, flags_reply)| {
        ProtoInfo::from(TcpInfo {
            state: scales.0.into(),
            wscale_orig: scales.1,
            wscale_reply: scales.2,
            flags_orig,
            flags_reply,
        })
    });
    let sctp = any::<(u8, Option<u32>, Option<u32>)>().prop_map(|(state, orig, reply)| {
        ProtoInfo::from(SctpInfo {
            state: state.into(),
            vtag_orig: orig,
            vtag_reply: reply,
        })
    });
    let dccp = any::<(u8, Option<u8>, Option<u64>)>().prop_map(|(state, role, seq)| {
        ProtoInfo::from(DccpInfo {
            state: state.into(),
            role,
            handshake_seq: seq,
        })
    });
    prop_oneof![tcp, sctp, dccp, Just(ProtoInfo::Other)]
}

fn name() -> impl Strategy<Value = Box<str>> {
    "[a-z0-9.:_-]{0,15}".prop_map(Into::into)
}

fn time() -> impl Strategy<Value = SystemTime> {
    any::<u64>().prop_map(|nanos| UNIX_EPOCH + Duration::from_nanos(nanos))
}

fn rare() -> impl Strategy<Value = Option<Box<Rare>>> {
    let helper = (name(), of(vec(any::<u8>(), 0..=32))).prop_map(|(name, info)| Helper {
        name,
        info: info.map(Into::into),
    });
    let timestamp = (time(), of(time())).prop_map(|(start, stop)| Timestamp { start, stop });
    (
        of(tuple()),
        of(helper),
        of(timestamp),
        of(time()),
        of(seqadj()),
        of(seqadj()),
        of(name().prop_map(|name| SecCtx { name })),
    )
        .prop_map(|fields| {
            let (master, helper, timestamp, event_timestamp, seqadj_orig, seqadj_reply, secctx) =
                fields;
            let rare = Rare {
                master,
                helper,
                timestamp,
                event_timestamp,
                seqadj_orig,
                seqadj_reply,
                secctx,
            };
            (rare != Rare::default()).then(|| Box::new(rare))
        })
}
