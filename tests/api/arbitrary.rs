//! Random values of every noun, made by public constructors. They are boxed, because a test's stack
//! cannot hold several of them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ctnetlink::*;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

/// Addresses of one family.
fn ends() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![
        any::<[[u8; 4]; 2]>().prop_map(|it| (it[0].into(), it[1].into())),
        any::<[[u8; 16]; 2]>().prop_map(|it| (it[0].into(), it[1].into())),
    ]
}

pub(super) fn tuple() -> BoxedStrategy<Tuple> {
    let icmp = prop_oneof![Just(0u8), Just(8), Just(13), Just(16), Just(18)];
    let fields = (any::<u8>(), any::<u16>(), any::<u16>(), icmp);
    (ends(), fields)
        .prop_map(|((src, dst), (protocol, a, b, kind))| {
            let echo = IcmpEcho::new(kind, protocol, a);
            match (protocol % 4, src, dst) {
                (0, IpAddr::V4(src), IpAddr::V4(dst)) => Tuple::icmp(src, dst, echo),
                (0, IpAddr::V6(src), IpAddr::V6(dst)) if a % 2 == 0 => {
                    Tuple::icmpv6(src, dst, IcmpEcho::request_v6(a))
                }
                // ICMP over IPv6, which requests can make.
                (0, ..) => format!("icmp src={src} dst={dst} type={kind} code=0 id={a}").parse(),
                (1, ..) => {
                    let all = [6, 17, 33, 47, 132, 136];
                    let protocol = all[usize::from(a) % all.len()];
                    Tuple::new(protocol, SocketAddr::new(src, a), SocketAddr::new(dst, b))
                }
                _ => Tuple::generic(src, dst, protocol),
            }
            .or_else(|_| Tuple::generic(src, dst, 50))
            .expect("a tuple")
        })
        .boxed()
}

pub(super) fn zone() -> impl Strategy<Value = Zone> {
    (0..3, any::<u16>()).prop_map(|(direction, id)| match direction {
        0 => Zone::new(id),
        1 => Zone::orig(id),
        _ => Zone::reply(id),
    })
}

pub(super) fn status() -> impl Strategy<Value = Status> + Clone {
    any::<u32>().prop_map(Status::from_bits_retain)
}

pub(super) fn labels() -> impl Strategy<Value = Labels> + Clone {
    prop_oneof![
        any::<u128>().prop_map(Labels::from),
        (0..128u8).prop_map(|bit| Labels::bit(bit).expect("a label")),
    ]
}

/// A value and any mask, or the whole value.
pub(super) fn masked<T: Bits + std::fmt::Debug>(
    bits: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = Masked<T>> {
    let mask = prop_oneof![bits.clone(), Just(T::ALL)];
    (bits, mask).prop_map(|(value, mask)| Masked::new(value, mask))
}

pub(super) fn ports() -> impl Strategy<Value = Ports> {
    any::<(u16, u16)>().prop_map(|(a, b)| Ports::from(a.min(b)..=a.max(b)))
}

pub(super) fn prefixes() -> impl Strategy<Value = PrefixSet> {
    vec((ends(), 0..=32u8), 1..4).prop_map(|all| {
        let nets = all
            .into_iter()
            .map(|((address, _), length)| IpNet::new(address, length).expect("a prefix").trunc());
        nets.collect()
    })
}

/// In milliseconds; what is longer a kernel would not take.
fn timeout() -> impl Strategy<Value = Duration> {
    (0..4_000_000_000u64).prop_map(Duration::from_millis)
}

fn name() -> impl Strategy<Value = String> {
    "[a-z0-9.:_-]{1,15}"
}

fn seqadj() -> impl Strategy<Value = SeqAdj> {
    any::<(u32, i32, i32)>().prop_map(|it| SeqAdj::new(it.0, it.1, it.2))
}

fn synproxy() -> impl Strategy<Value = SynProxy> {
    any::<(u32, u32, u32)>().prop_map(|it| SynProxy::new(it.0, it.1, it.2))
}

fn protoinfo() -> BoxedStrategy<ProtoInfo> {
    let flags = || masked(any::<u8>().prop_map(TcpFlags::from_bits_retain));
    let tcp = (
        any::<(u8, Option<u8>, Option<u8>)>(),
        of(flags()),
        of(flags()),
    );
    let tcp = tcp.prop_map(|((state, orig, reply), flags_orig, flags_reply)| {
        let mut info = TcpInfo::new(state.into());
        (info.wscale_orig, info.wscale_reply) = (orig, reply);
        (info.flags_orig, info.flags_reply) = (flags_orig, flags_reply);
        ProtoInfo::from(info)
    });
    let sctp = any::<(u8, u32, Option<u32>)>().prop_map(|(state, orig, reply)| {
        let mut info = SctpInfo::new(state.into(), orig, 0);
        info.vtag_reply = reply;
        ProtoInfo::from(info)
    });
    let dccp = any::<(u8, u8, Option<u64>)>().prop_map(|(state, role, seq)| {
        let mut info = DccpInfo::new(state.into(), role);
        info.handshake_seq = seq;
        ProtoInfo::from(info)
    });
    prop_oneof![tcp, sctp, dccp, Just(ProtoInfo::Other)].boxed()
}

pub(super) fn key() -> impl Strategy<Value = FlowKey> {
    (tuple(), any::<bool>(), zone(), of(any::<u32>())).prop_map(|(tuple, reply, zone, id)| {
        let key = match reply {
            true => FlowKey::reply(tuple),
            false => FlowKey::orig(tuple),
        };
        let key = key.zone(zone);
        id.map_or(key, |id| key.id(id.into()))
    })
}

/// Each setter, or not.
macro_rules! set {
    ($to:ident: $($setter:ident = $value:expr),+ $(,)?) => {{
        let mut to = $to;
        $(if let Some(value) = $value {
            to = to.$setter(value);
        })+
        to
    }};
}

pub(super) fn patch() -> BoxedStrategy<Patch> {
    let first = (of(name()), of(timeout()), of(status()), of(protoinfo()));
    let then = (
        of(masked(any::<u32>())),
        of(seqadj()),
        of(seqadj()),
        of(synproxy()),
        of(masked(labels())),
    );
    (first, then)
        .prop_map(|(first, then)| {
            let patch = Patch::new();
            set!(patch: helper = first.0, timeout = first.1, status = first.2, protoinfo = first.3,
            mark = then.0, seqadj_orig = then.1, seqadj_reply = then.2, synproxy = then.3,
            labels = then.4)
        })
        .boxed()
}

pub(super) fn nat() -> impl Strategy<Value = Nat> {
    (ends(), any::<bool>(), of(any::<(u16, u16)>())).prop_map(|((a, b), one, ports)| {
        let nat = match one {
            true => Nat::to(a),
            false => Nat::to_any(a.min(b)..=a.max(b)),
        };
        ports.map_or(nat, |(a, b)| nat.ports(a.min(b)..=a.max(b)))
    })
}

pub(super) fn new_flow() -> BoxedStrategy<NewFlow> {
    let nats = (of(nat()), of(nat()));
    let settings = (
        of(status()),
        of(protoinfo()),
        of(masked(any::<u32>())),
        of(masked(labels())),
    );
    (
        tuple(),
        of(tuple()),
        timeout(),
        of(zone()),
        of(tuple()),
        nats,
        settings,
        of(name()),
    )
        .prop_map(
            |(orig, reply, timeout, zone, master, nats, settings, helper)| {
                let flow = NewFlow::new(orig, timeout);
                set!(flow: reply = reply, zone = zone, master = master, source_nat = nats.0,
                destination_nat = nats.1, status = settings.0, protoinfo = settings.1,
                mark = settings.2, labels = settings.3, helper = helper)
            },
        )
        .boxed()
}

pub(super) fn change() -> BoxedStrategy<Change> {
    prop_oneof![
        new_flow().prop_map(Change::Create),
        (key(), patch()).prop_map(|(key, patch)| Change::Update(key, patch)),
        key().prop_map(Change::Delete),
    ]
    .boxed()
}

#[cfg(feature = "serde")]
pub(super) fn flow() -> BoxedStrategy<Flow> {
    let numbers = any::<(Option<u32>, Option<u32>, Option<u32>)>();
    let counters = || of(any::<(u64, u64)>().prop_map(|it| Counters::new(it.0, it.1)));
    let time = || of(any::<u64>().prop_map(|it| std::time::UNIX_EPOCH + Duration::from_nanos(it)));
    let all = (
        status(),
        numbers,
        of(protoinfo()),
        counters(),
        counters(),
        of(labels()),
        zone(),
    );
    let rare = (
        of(synproxy()),
        of(tuple()),
        of(name()),
        of(seqadj()),
        of(seqadj()),
        time(),
        time(),
    );
    ((tuple(), of(tuple())), all, rare)
        .prop_map(|((orig, reply), all, rare)| {
            let mut flow = Flow::new(orig, reply.unwrap_or(orig.inverse()));
            (flow.status, flow.protoinfo, flow.labels, flow.zone) = (all.0, all.2, all.5, all.6);
            (flow.counters_orig, flow.counters_reply) = (all.3, all.4);
            let (mark, id, timeout) = all.1;
            (flow.mark, flow.id) = (mark, id.map(FlowId::from));
            flow.timeout = timeout.map(|it| Duration::from_secs(it.into()));
            flow.use_count = mark;
            let (synproxy, master, name, orig, reply, begin, end) = rare;
            flow.synproxy = synproxy;
            flow.set_master(master);
            flow.set_helper(name.clone().map(Helper::new));
            flow.set_secctx(name.map(SecCtx::new));
            flow.set_seqadj_orig(orig);
            flow.set_seqadj_reply(reply);
            flow.set_timestamp(begin.map(|begin| match end {
                Some(end) => Timestamp::new(begin).ended(end),
                None => Timestamp::new(begin),
            }));
            flow.set_event_timestamp(end);
            flow
        })
        .boxed()
}

/// Some conditions, of those that go together.
pub(super) fn filter() -> BoxedStrategy<Filter> {
    let first = (
        of(any::<u8>()),
        of(prefixes()),
        of(prefixes()),
        of(ports()),
        of(any::<u16>()),
    );
    let bits = (
        of(masked(any::<u32>())),
        of(masked(status())),
        of(masked(labels())),
        of(name()),
    );
    let leaf = (first, bits, any::<[bool; 3]>()).prop_map(|(first, bits, flags)| {
        let any = Filter::builder();
        let mut filter = set!(any: orig_src = first.1, reply_dst = first.2, zone = first.4,
            helper = bits.3.clone());
        if let Some(number) = first.0 {
            filter = filter.protocol(number);
        }
        if let Some(ports) = first.3 {
            filter = filter.protocol(6).orig_dst_port(ports);
        }
        filter = match bits {
            (Some(mark), ..) => filter.mark(Masked::new(mark.value(), mark.mask())),
            (_, Some(status), ..) => filter.status(Masked::new(status.value(), status.mask())),
            (_, _, Some(labels), _) => filter.labels(Masked::new(labels.value(), labels.mask())),
            _ => filter,
        };
        if flags[0] {
            filter = filter.has_helper().nat(NatKind::Any);
        }
        if flags[1] {
            filter = filter.has_master();
        }
        if flags[2] {
            filter = filter.protocol(Protocol::TCP).tcp_state(TcpState::from(77));
        }
        // What contradicts itself is another test's.
        filter.build().unwrap_or_default()
    });
    leaf.prop_recursive(3, 8, 3, |inner| {
        (inner.clone(), vec(inner, 1..3), any::<bool>()).prop_map(|(filter, others, not)| {
            let filter = filter.to_builder();
            let filter = match not {
                true => others.into_iter().fold(filter, FilterBuilder::not),
                false => filter.any_of(others),
            };
            filter.build().unwrap_or_default()
        })
    })
    .boxed()
}

#[cfg(feature = "serde")]
pub(super) fn new_expectation() -> BoxedStrategy<NewExpectation> {
    let rest = (
        of(timeout()),
        of(0..8u32),
        of(0..4u32),
        of(tuple()),
        of(name()),
        of(name()),
    );
    (key(), tuple(), rest)
        .prop_map(|(master, tuple, rest)| {
            let expectation = NewExpectation::new(master, tuple).mask(TupleMask::exact(&tuple));
            let flags = rest.1.map(ExpectationFlags::from_bits_retain);
            let nat = rest
                .3
                .map(|tuple| ExpectationNat::new(Direction::Reply, tuple));
            set!(expectation: timeout = rest.0, flags = flags, class = rest.2, nat = nat,
            helper = rest.4, function = rest.5)
        })
        .boxed()
}
