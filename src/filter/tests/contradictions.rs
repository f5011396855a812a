//! What is refused when it is built, and by which name.

use super::*;
use crate::ErrorKind;
use crate::flow::{Family, Labels, Masked, Status, TcpState};

#[track_caller]
fn refused(name: &str, filter: impl FnOnce(FilterBuilder) -> FilterBuilder) {
    let error = filter(Filter::builder()).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let text = error.to_string();
    assert!(text.starts_with(name), "{name:?} in {text:?}");
}

#[test]
fn families() {
    refused("family", |b| b.family(Family::Ipv4).family(Family::Ipv6));
    refused("family", |b| {
        b.family(Family::Ipv4).orig_src(net("fd00::/8"))
    });
    refused("family", |b| {
        b.orig_src(net("10.0.0.0/8")).reply_dst(net("fd00::1/128"))
    });
    refused("family", |b| {
        b.protocol(58).icmp_type(128).orig_dst(net("10.0.0.1/32"))
    });
    refused("family", |b| b.protocol(1).icmp_id(1).family(Family::Ipv6));
}

#[test]
fn protocols() {
    refused("protocol", |b| b.protocol(6).protocol(17));
    refused("protocol", |b| b.protocol(17).tcp_state(TcpState::Close));
    refused("orig port", |b| b.orig_dst_port(443));
    refused("orig port", |b| b.protocol(89).orig_src_port(1));
    refused("reply port", |b| b.protocol(1).reply_src_port(1));
    refused("icmp", |b| b.icmp_type(8));
    refused("icmp", |b| b.protocol(6).icmp_code(0));
    // GRE's keys stand for ports, and a state names its protocol.
    on(|b| b.protocol(47).orig_dst_port(5));
    on(|b| b.tcp_state(TcpState::Close).orig_dst_port(443));
}

#[test]
#[allow(clippy::reversed_empty_ranges)]
fn ranges_and_prefixes() {
    refused("orig port", |b| b.protocol(6).orig_dst_port(9..=1));
    refused("orig_dst_port", |b| {
        b.protocol(6).orig_dst_port(80).orig_dst_port(443)
    });
    refused("orig_src", |b| {
        b.orig_src(net("10.0.0.0/9")).orig_src(net("10.128.0.0/9"))
    });
    refused("reply_src", |b| {
        b.reply_src(net("::/0")).reply_src(net("0.0.0.0/0"))
    });
    refused("tcp_state", |b| {
        b.tcp_state(TcpState::Close).tcp_state(TcpState::TimeWait)
    });
    refused("icmp_id", |b| b.protocol(1).icmp_id(1).icmp_id(2));
}

#[test]
fn masks() {
    refused("mark", |b| b.mark(Masked::new(0, 0)));
    refused("labels", |b| {
        b.labels(Masked::new(Labels::ALL, Labels::EMPTY))
    });
    refused("status", |b| {
        b.status(Masked::new(Status::ASSURED, Status::empty()))
    });
    refused("mark", |b| {
        b.mark(Masked::new(1, 3)).mark(Masked::new(2, 2))
    });
    // Bits outside the mask: not the mask's, which would match more.
    refused("mark", |b| b.mark(Masked::new(0x10, 0x01)));
    refused("mark", |b| b.mark(Masked::new(0x10, 0x01)).mark(0));
    refused("mark", |b| b.mark(0).mark(Masked::new(0x10, 0x01)));
    refused("labels", |b| {
        b.labels(Masked::new(Labels::ALL, Labels::from(1)))
    });
    refused("status", |b| {
        b.status(Masked::new(Status::ASSURED, Status::SEEN_REPLY))
    });
    refused("nat", |b| b.nat(NatKind::Source).nat(NatKind::None));
    refused("nat", |b| b.nat(NatKind::Any).nat(NatKind::None));
}

#[test]
fn zones() {
    refused("zone", |b| b.zone(1).zone(2));
    refused("zone", |b| b.zone(1).orig_zone(2));
    refused("zone", |b| b.zone(0).reply_zone(2));
    refused("zone", |b| b.orig_zone(1).reply_zone(2));
    refused("zone", |b| b.zone(1).orig_zone(0).reply_zone(0));
    on(|b| b.zone(1).orig_zone(0).reply_zone(1));
    on(|b| b.zone(0).orig_zone(0).reply_zone(0));
}

#[test]
fn parts() {
    let web = || on(|b| b.protocol(6).orig_dst_port(443));
    refused("any_of", |b| b.any_of([]));
    refused("any_of", |b| b.any_of([web(), Filter::default()]));
    refused("any_of", |b| b.protocol(17).any_of([web()]));
    refused("not", |b| b.not(Filter::default()));
    // One that cannot hold is no harm beside one that can.
    on(|b| {
        b.protocol(6)
            .any_of([web(), on(|b| b.protocol(17).mark(1))])
    });
}

/// The first contradiction is told, whatever follows.
#[test]
fn several() {
    refused("zone", |b| b.zone(1).zone(2).protocol(6).protocol(17));
}

#[cfg(feature = "serde")]
#[test]
fn what_is_read_is_checked_too() {
    let filter = on(|b| {
        let alternatives = [
            on(|b| b.orig_src(net("10.0.0.0/8"))),
            on(|b| b.labels(Labels::ALL)),
        ];
        b.protocol(6)
            .orig_dst_port(1..=9)
            .nat(NatKind::Any)
            .any_of(alternatives)
            .not(on(|b| b.zone(1)))
    });
    let text = serde_json::to_string(&filter).unwrap();
    assert_eq!(serde_json::from_str::<Filter>(&text).unwrap(), filter);
    let read = |text| serde_json::from_str::<Filter>(text);
    assert_eq!(
        read(r#"{"mark":{"value":1,"mask":1}}"#).unwrap(),
        on(|b| b.mark(Masked::new(1, 1)))
    );
    for bad in [
        r#"{"mark":{"value":1,"mask":0}}"#,
        r#"{"orig":{"dst_port":{"first":1,"last":1}}}"#,
        r#"{"protocol":6,"orig":{"dst_port":{"first":2,"last":1}}}"#,
        r#"{"markk":{"value":1,"mask":1}}"#,
        r#"{"any_of":[[{}]]}"#,
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
}
