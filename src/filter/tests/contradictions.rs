//! The filters that `build` refuses, and the names in the errors.

use super::*;
use crate::ErrorKind;
use crate::flow::{DccpState, Family, Labels, Masked, SctpState, Status, TcpState};

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
    refused("protocol", |b| b.protocol(17).tcp_state(TcpState::CLOSE));
    refused("orig_dst_port", |b| b.orig_dst_port(443));
    refused("orig_src_port", |b| b.protocol(89).orig_src_port(1));
    refused("reply_src_port", |b| b.protocol(1).reply_src_port(1));
    refused("icmp", |b| b.icmp_type(8));
    refused("icmp", |b| b.protocol(6).icmp_code(0));
    // GRE has keys in place of ports, and a state implies its protocol.
    on(|b| b.protocol(47).orig_dst_port(5));
    on(|b| b.tcp_state(TcpState::CLOSE).orig_dst_port(443));
}

#[test]
#[allow(clippy::reversed_empty_ranges)]
fn ranges_and_prefixes() {
    refused("orig_dst_port", |b| b.protocol(6).orig_dst_port(9..=1));
    refused("orig_dst_port", |b| b.protocol(6).orig_dst_port(..0));
    // An empty range is refused, also together with another one.
    refused("orig_dst_port", |b| {
        b.protocol(6).orig_dst_port(1..=9).orig_dst_port(9..=1)
    });
    // The address of an interface is not read as its network, which would match more.
    for interface in ["10.0.0.7/24", "fd00::1/64", "::ffff:10.0.0.7/120"] {
        refused("orig_src", |b| b.orig_src(net(interface)));
        refused("reply_dst", |b| {
            b.reply_dst(
                [net("10.0.0.0/8"), net(interface)]
                    .into_iter()
                    .collect::<PrefixSet>(),
            )
        });
    }
    refused("orig_src", |b| {
        b.orig_src(std::iter::empty::<IpNet>().collect::<PrefixSet>())
    });
    refused("orig_src", |b| {
        let nothing = std::iter::empty::<IpNet>().collect::<PrefixSet>();
        b.orig_src(net("10.0.0.0/8")).orig_src(nothing)
    });
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
        b.tcp_state(TcpState::CLOSE).tcp_state(TcpState::TIME_WAIT)
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
    // Bits outside the mask are not ignored, because that would match more.
    refused("mark", |b| b.mark(Masked::new(0x10, 0x01)));
    refused("mark", |b| b.mark(Masked::new(0x10, 0x01)).mark(0));
    refused("mark", |b| b.mark(0).mark(Masked::new(0x10, 0x01)));
    refused("labels", |b| {
        b.labels(Masked::new(Labels::ALL, Labels::from(1)))
    });
    refused("status", |b| {
        b.status(Masked::new(Status::ASSURED, Status::SEEN_REPLY))
    });
    // An empty condition is refused, also together with another one.
    refused("has_status", |b| {
        b.has_status(Status::ASSURED).has_status(Status::empty())
    });
    refused("lacks_labels", |b| b.lacks_labels(Labels::EMPTY));
    refused("lacks_status", |b| {
        b.has_status(Status::ASSURED).lacks_status(Status::ASSURED)
    });
    refused("nat", |b| b.nat(NatKind::Source).nat(NatKind::None));
    refused("nat", |b| b.nat(NatKind::Any).nat(NatKind::None));
}

#[test]
fn helpers_and_masters() {
    refused("helper", |b| b.helper(""));
    refused("helper", |b| b.helper("ftp").helper("sip"));
    let of = |flow: Flow| flow.orig;
    refused("master", |b| b.master(of(tcp())).master(of(udp6())));
    refused("family", |b| b.family(Family::Ipv6).master(of(tcp())));
    refused("protocol", |b| b.protocol(6).sctp_state(SctpState::CLOSED));
    refused("protocol", |b| {
        b.tcp_state(TcpState::CLOSE).dccp_state(DccpState::OPEN)
    });
}

/// Filters can be nested as deep as the stack allows. Deeper ones are neither built nor read.
#[test]
fn depth() {
    for wrap in [
        |filter| Filter::builder().not(filter).build(),
        |filter| Filter::builder().any_of([filter]).build(),
    ] {
        let mut filter = on(|b| b.mark(1));
        for _ in 1..32 {
            filter = wrap(filter).expect("one that is less deep");
        }
        #[cfg(feature = "serde")]
        {
            let text = serde_json::to_string(&filter).unwrap();
            assert_eq!(serde_json::from_str::<Filter>(&text).unwrap(), filter);
        }
        let error = wrap(filter).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("deep"), "{error}");
    }
}

/// No error shows the `Debug` text of a value.
#[test]
fn errors_are_in_plain_words() {
    for (filter, text) in [
        (
            Filter::builder().family(Family::Ipv4).family(Family::Ipv6),
            "family: no flow can meet both ipv4 and ipv6",
        ),
        (
            Filter::builder().protocol(17).tcp_state(TcpState::CLOSE),
            "protocol: it is udp, but tcp_state implies tcp",
        ),
        (
            Filter::builder().nat(NatKind::Source).nat(NatKind::None),
            "nat: no flow can meet both SRC_NAT/SRC_NAT and UNSET/SRC_NAT,DST_NAT",
        ),
        (
            Filter::builder().protocol(89).orig_dst_port(1),
            "orig_dst_port: protocol ospf has no ports",
        ),
        (
            Filter::builder().orig_src(net("10.0.0.7/24")),
            "orig_src: 10.0.0.7/24 has host bits; it could mean only 10.0.0.7, or all of \
             10.0.0.0/24",
        ),
    ] {
        assert_eq!(filter.build().unwrap_err().to_string(), text);
    }
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
    // An alternative that never matches is allowed beside one that can.
    on(|b| {
        b.protocol(6)
            .any_of([web(), on(|b| b.protocol(17).mark(1))])
    });
}

/// The first contradiction is reported, even if others follow.
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
            on(|b| b.labels(Labels::ALL.into())),
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
    for (bad, why) in [
        (r#"{"mark":{"value":0,"mask":0}}"#, "mask is empty"),
        (r#"{"orig_dst_port":1}"#, "set the protocol"),
        (r#"{"protocol":6,"orig_dst_port":"2-1"}"#, "2-1"),
        (r#"{"mark":{"value":16,"mask":1}}"#, "outside the mask"),
        (
            r#"{"status":{"value":["ASSURED"],"mask":["SEEN_REPLY"]}}"#,
            "outside the mask",
        ),
        (r#"{"orig_src":"10.0.0.7/24"}"#, "host bits"),
        (r#"{"orig_src":[]}"#, "set of addresses is empty"),
        (r#"{"helper":""}"#, "the name is empty"),
        (r#"{"markk":{"value":1,"mask":1}}"#, "unknown field"),
        (r#"{"any_of":[[{}]]}"#, "matches every flow"),
        (r#"{"any_of":[[]]}"#, "nothing would match"),
        // Keys that look like a condition, and are none.
        (r#"{"protocol":6,"orig_src":null}"#, "leave the key out"),
        (r#"{"protocol":6,"has_helper":false}"#, "leave the key out"),
        (r#"{"protocol":6,"any_nat":false}"#, "leave the key out"),
        (r#"{"protocol":6,"any_of":[]}"#, "leave the key out"),
        (r#"{"protocol":6,"not":[]}"#, "leave the key out"),
    ] {
        let error = read(bad).unwrap_err().to_string();
        assert!(error.contains(why), "{bad}: {error}");
    }
}

/// A deserializer without its own limit: each value is a `not` of itself, without end.
#[cfg(feature = "serde")]
#[test]
fn what_is_read_is_not_too_deep() {
    use serde::Deserialize;
    use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
    use serde::de::{Deserializer, IntoDeserializer, Visitor};

    struct Endless;

    impl IntoDeserializer<'_> for Endless {
        type Deserializer = Self;

        fn into_deserializer(self) -> Self {
            self
        }
    }

    impl<'de> Deserializer<'de> for Endless {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let not = SeqDeserializer::new([Endless].into_iter());
            visitor.visit_map(MapDeserializer::new([("not", not)].into_iter()))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
            option unit unit_struct newtype_struct seq tuple tuple_struct map struct enum
            identifier ignored_any
        }
    }

    let error = Filter::deserialize(Endless).unwrap_err();
    assert!(error.to_string().contains("deep"), "{error}");
    // The limit is for each value that is read, not for all together.
    assert!(serde_json::from_str::<Filter>(r#"{"protocol":6}"#).is_ok());
}
