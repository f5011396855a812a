//! Every condition in three forms: as a filter, as a test of a flow, and as the part that a kernel
//! compares.

use ctnetlink::{
    Family, FilterBuilder, Flow, IpNet, KernelFilter, Labels, Masked, NatKind, PrefixSet,
    ProtoInfo, Status, TcpState, ZoneDirection,
};

use super::population::{host, these};

pub(crate) struct Condition {
    pub(crate) name: &'static str,
    pub(crate) add: fn(FilterBuilder) -> FilterBuilder,
    pub(crate) holds: fn(&Flow) -> bool,
    pub(crate) by_kernel: KernelFilter,
}

const TUPLE: KernelFilter = KernelFilter::FAMILY.union(KernelFilter::PROTOCOL);

macro_rules! conditions {
    ($($name:literal, $by_kernel:expr, |$b:ident| $add:expr, |$flow:ident| $holds:expr;)+) => {
        vec![$(Condition {
            name: $name,
            add: |$b| $add,
            holds: |$flow| $holds,
            by_kernel: $by_kernel,
        },)+]
    };
}

fn net(text: &str) -> IpNet {
    text.parse().expect("a prefix")
}

fn is(flow: &Flow, family: Family, protocol: u8) -> bool {
    flow.family() == family && flow.orig.protocol() == protocol
}

fn has(flow: &Flow, status: Status) -> bool {
    flow.status.contains(status)
}

fn bit(n: u8) -> Labels {
    Labels::bit(n).expect("a label")
}

pub(crate) fn all() -> Vec<Condition> {
    use Family::{Ipv4, Ipv6};
    use KernelFilter as K;
    conditions![
        "family v4", K::FAMILY, |b| b.family(Ipv4), |f| f.family() == Ipv4;
        "family v6", K::FAMILY, |b| b.family(Ipv6), |f| f.family() == Ipv6;
        "protocol", K::empty(), |b| b.protocol(17), |f| f.orig.protocol() == 17;
        "TCP v6", TUPLE, |b| b.family(Ipv6).protocol(6), |f| is(f, Ipv6, 6);
        "OSPF v4", TUPLE, |b| b.family(Ipv4).protocol(89), |f| is(f, Ipv4, 89);
        "source v4", K::FAMILY | K::ORIG_SRC, |b| b.orig_src(net("10.0.0.1/32")),
            |f| f.orig.src() == host(false, 0, 1);
        "destination v4", K::FAMILY | K::ORIG_DST, |b| b.orig_dst(net("10.9.0.2/32")),
            |f| f.orig.dst() == host(false, 9, 2);
        "reply source v4", K::FAMILY | K::REPLY_SRC, |b| b.reply_src(net("10.88.0.1/32")),
            |f| f.reply.src() == host(false, 88, 1);
        "reply destination v4", K::FAMILY | K::REPLY_DST, |b| b.reply_dst(net("10.77.0.1/32")),
            |f| f.reply.dst() == host(false, 77, 1);
        "prefix v4", K::FAMILY, |b| b.orig_src(net("10.0.0.0/15")),
            |f| matches!(f.orig.src().to_string().split('.').nth(1), Some("0" | "1"));
        "source v6", K::FAMILY, |b| b.orig_src(net("fd00:1::2/128")),
            |f| f.orig.src() == host(true, 1, 2);
        "destination v6", K::FAMILY, |b| b.orig_dst(net("fd00:9::3/128")),
            |f| f.orig.dst() == host(true, 9, 3);
        "reply prefix v6", K::FAMILY, |b| b.reply_dst(net("fd00:4d::/32")),
            |f| f.reply.dst().to_string().starts_with("fd00:4d:");
        "TCP destination port", TUPLE | K::ORIG_DST_PORT,
            |b| b.family(Ipv4).protocol(6).orig_dst_port(443),
            |f| is(f, Ipv4, 6) && f.orig.dst_port() == Some(443);
        "UDP v6 reply source port", TUPLE | K::REPLY_SRC_PORT,
            |b| b.family(Ipv6).protocol(17).reply_src_port(53),
            |f| is(f, Ipv6, 17) && f.reply.src_port() == Some(53);
        "TCP source ports", TUPLE,
            |b| b.family(Ipv4).protocol(6).orig_src_port(10_100..=10_300),
            |f| is(f, Ipv4, 6) && f.orig.src_port().is_some_and(|p| (10_100..=10_300).contains(&p));
        "SCTP port", TUPLE, |b| b.family(Ipv4).protocol(132).orig_dst_port(8080),
            |f| is(f, Ipv4, 132) && f.orig.dst_port() == Some(8080);
        "GRE key", TUPLE, |b| b.family(Ipv6).protocol(47).orig_src_port(0..=300),
            |f| is(f, Ipv6, 47) && f.orig.src_port().is_some_and(|key| key <= 300);
        "ICMP type", TUPLE | K::ICMP_TYPE, |b| b.protocol(1).icmp_type(13),
            |f| f.orig.icmp_echo().is_some_and(|echo| echo.kind() == 13);
        "ICMPv6 type and code", TUPLE | K::ICMP_TYPE | K::ICMP_CODE,
            |b| b.protocol(58).icmp_type(128).icmp_code(0),
            |f| f.orig.icmp_echo().is_some_and(|echo| (echo.kind(), echo.code()) == (128, 0));
        "ICMP id", TUPLE | K::ICMP_ID, |b| b.protocol(1).icmp_id(6),
            |f| is(f, Ipv4, 1) && f.orig.icmp_echo().is_some_and(|echo| echo.id() == 6);
        "zone", K::ZONE, |b| b.zone(5), |f| f.zone.id() == 5;
        "zone 0", K::ZONE, |b| b.zone(0), |f| f.zone.id() == 0;
        "original zone", K::ZONE, |b| b.orig_zone(5),
            |f| f.zone.id() == 5 && f.zone.direction() != ZoneDirection::Reply;
        "reply zone 0", K::empty(), |b| b.reply_zone(0),
            |f| f.zone.id() == 0 || f.zone.direction() == ZoneDirection::Orig;
        "mark", K::MARK, |b| b.mark(0x11), |f| f.mark == Some(0x11);
        "mark 0", K::MARK, |b| b.mark(0), |f| f.mark == Some(0);
        "masked mark", K::MARK, |b| b.mark(Masked::new(1, 0xf)),
            |f| f.mark.is_some_and(|mark| mark & 0xf == 1);
        "labels", K::empty(), |b| b.labels(Masked::new(bit(3), bit(3) | bit(100))),
            |f| f.labels.is_some_and(|labels| labels.contains(3) && !labels.contains(100));
        "assured", K::STATUS, |b| b.status(these(Status::ASSURED)), |f| has(f, Status::ASSURED);
        "unanswered", K::STATUS, |b| b.status(Masked::new(Status::empty(), Status::SEEN_REPLY)),
            |f| !has(f, Status::SEEN_REPLY);
        "TCP state", K::empty(), |b| b.tcp_state(TcpState::TIME_WAIT),
            |f| matches!(&f.protoinfo, Some(ProtoInfo::Tcp(tcp)) if tcp.state == TcpState::TIME_WAIT);
        "source NAT", K::STATUS, |b| b.nat(NatKind::Source), |f| has(f, Status::SRC_NAT);
        "destination NAT", K::STATUS, |b| b.nat(NatKind::Destination),
            |f| has(f, Status::DST_NAT);
        "any NAT", K::empty(), |b| b.nat(NatKind::Any),
            |f| has(f, Status::SRC_NAT) || has(f, Status::DST_NAT);
        "no NAT", K::STATUS, |b| b.nat(NatKind::None),
            |f| !has(f, Status::SRC_NAT) && !has(f, Status::DST_NAT);
        "helper", K::empty(), |b| b.has_helper(), |f| f.helper().is_some();
        "helper by name", K::empty(), |b| b.helper("ftp"),
            |f| f.helper().is_some_and(|helper| &*helper.name == "ftp");
        "status bits", K::STATUS,
            |b| b.has_status(Status::ASSURED).lacks_status(Status::SRC_NAT | Status::DST_NAT),
            |f| has(f, Status::ASSURED) && !has(f, Status::SRC_NAT) && !has(f, Status::DST_NAT);
        "single labels", K::empty(), |b| b.has_labels(bit(3)).lacks_labels(bit(100)),
            |f| f.labels.is_some_and(|labels| labels.contains(3) && !labels.contains(100));
        "set of both families", K::empty(),
            |b| b.orig_src(["10.0.0.3/32", "10.1.0.0/16", "fd00:1::/32"].map(net)
                .into_iter().collect::<PrefixSet>()),
            |f| {
                let src = f.orig.src().to_string();
                src == "10.0.0.3" || src.starts_with("10.1.") || src.starts_with("fd00:1:")
            };
        "mapped address", K::FAMILY | K::ORIG_SRC, |b| b.orig_src(net("::ffff:10.0.0.3/128")),
            |f| f.orig.src() == host(false, 0, 3);
        "ports from one on", TUPLE, |b| b.family(Ipv4).protocol(6).orig_src_port(10_100..),
            |f| is(f, Ipv4, 6) && f.orig.src_port().is_some_and(|port| port >= 10_100);
    ]
}
