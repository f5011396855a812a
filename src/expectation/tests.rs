use std::time::Duration;

use super::*;
use crate::error::ErrorKind;
use crate::flow::Direction;
use crate::flow::tests::hidden;
use crate::wire::message::Request;
use crate::wire::uapi::*;

pub(crate) fn tcp(src: &str, dst: &str) -> Tuple {
    Tuple::tcp(src.parse().unwrap(), dst.parse().unwrap()).unwrap()
}

/// The expectation of the golden bytes `expect_ftp`.
pub(crate) fn ftp() -> Expectation {
    let tuple = tcp("10.0.0.2:0", "10.0.0.1:10000");
    let master = tcp("10.0.0.1:1000", "10.0.0.2:21");
    Expectation {
        timeout: Some(Duration::from_secs(299)),
        helper: Some("ftp".into()),
        ..Expectation::new(master, tuple, TupleMask::any_src_port(&tuple))
    }
}

#[cfg(target_endian = "little")]
mod golden {
    use super::*;
    use crate::wire::golden::{assert_bytes, bytes, replies, reply};

    fn named(name: &str) -> Expectation {
        Expectation::from_message(&reply(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Without the id, which the kernel assigns.
    fn is(name: &str, expected: Expectation) {
        let id = named(name).id;
        assert!(id.is_some());
        assert_eq!(named(name), Expectation { id, ..expected }, "{name}");
    }

    #[test]
    fn of_ftp() {
        is("expect_ftp", ftp());
        let (new, destroyed) = (named("expect_new"), named("expect_destroy"));
        assert_eq!(new, destroyed);
        let timeout = Some(Duration::from_secs(300));
        is("expect_new", Expectation { timeout, ..ftp() });
    }

    #[test]
    fn of_ipv6_with_half_an_address() {
        let tuple = tcp("[fd00::2]:0", "[fd00::1]:10000");
        let expected = Expectation {
            tuple,
            mask: TupleMask::new(&tuple, "ffff:ffff:ffff:ffff::".parse().unwrap(), 0).unwrap(),
            master: tcp("[fd00::1]:1000", "[fd00::2]:21"),
            ..ftp()
        };
        is("expect_ipv6", expected);
    }

    #[test]
    fn of_sip_with_translation() {
        let udp =
            |src: &str, dst: &str| Tuple::udp(src.parse().unwrap(), dst.parse().unwrap()).unwrap();
        let tuple = udp("10.0.0.2:5", "10.0.0.3:10001");
        let saved = udp("192.0.2.1:7777", "0.0.0.0:0");
        let expected = Expectation {
            tuple,
            mask: TupleMask::new(&tuple, "255.255.255.0".parse().unwrap(), 65535).unwrap(),
            master: udp("10.0.0.3:1000", "10.0.0.2:5060"),
            nat: Some(ExpectationNat::new(Direction::Reply, saved)),
            timeout: Some(Duration::from_secs(179)),
            flags: ExpectationFlags::PERMANENT | ExpectationFlags::INACTIVE,
            class: 1,
            helper: Some("sip".into()),
            function: Some("nat-follow-master".into()),
            ..ftp()
        };
        is("expect_nat", expected);
    }

    /// The mask of a tuple without ports has no ports.
    #[test]
    fn of_a_protocol_without_ports() {
        let generic = named("expect_generic");
        assert_eq!(generic.tuple.src_port(), None);
        assert_eq!(
            (generic.mask.src_port(), generic.mask.dst_port()),
            (None, None)
        );
        assert_eq!(named("expect_gre").mask.dst_port(), Some(0xffff));
        assert_eq!(named("expect_inactive").flags, ExpectationFlags::INACTIVE);
    }

    #[test]
    fn all_come_out_as_they_went_in() {
        let mut seen = 0;
        for (name, text) in replies().filter(|(name, _)| name.starts_with("expect_")) {
            let message = bytes(text);
            let expectation = named(name);
            let ours = super::message(&expectation);
            assert_bytes(&ours[20..], &text[40..]);
            assert_eq!(ours.len(), message.len());
            seen += 1;
        }
        assert_eq!(seen, 8);
    }

    #[test]
    fn what_is_none_is_refused_with_its_bytes() {
        let flow = reply("tcp_ipv4");
        let error = Expectation::from_message(&flow).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(
            error.to_string().contains("0x0100 has no expectation"),
            "{error}"
        );
        assert_eq!(error.bytes(), Some(&flow[..]));
        let mut headless = reply("expect_ftp");
        headless.truncate(20);
        headless[0] = 20;
        assert!(Expectation::from_message(&headless).is_err());
    }
}

#[test]
fn a_mask_says_what_counts() {
    let mut expected = ftp();
    let expects = |expected: &Expectation, src, dst| expected.expects(&tcp(src, dst));
    assert!(expects(&expected, "10.0.0.2:20", "10.0.0.1:10000"));
    for (src, dst) in [
        ("10.0.0.3:20", "10.0.0.1:10000"),
        ("10.0.0.2:20", "10.0.0.9:10000"),
        ("10.0.0.2:20", "10.0.0.1:10001"),
        ("[fd00::2]:20", "[fd00::1]:10000"),
    ] {
        assert!(!expects(&expected, src, dst), "{src} {dst}");
    }
    expected.mask = TupleMask::exact(&expected.tuple);
    assert!(!expects(&expected, "10.0.0.2:20", "10.0.0.1:10000"));
    assert!(expects(&expected, "10.0.0.2:0", "10.0.0.1:10000"));
    let half = TupleMask::new(&expected.tuple, "255.255.0.0".parse().unwrap(), 0);
    expected.mask = half.unwrap();
    assert!(expects(&expected, "10.0.99.9:1", "10.0.0.1:10000"));
    assert!(!expects(&expected, "10.1.0.2:1", "10.0.0.1:10000"));
    let udp = Tuple::udp(
        "10.0.0.2:20".parse().unwrap(),
        "10.0.0.1:10000".parse().unwrap(),
    );
    assert!(!expected.expects(&udp.unwrap()));
}

#[test]
fn a_mask_of_the_other_family_is_refused() {
    let refused = TupleMask::new(&ftp().tuple, "ffff::".parse().unwrap(), 0).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
}

fn message(expectation: &Expectation) -> Vec<u8> {
    Request::new(IPCTNL_MSG_EXP_NEW, 0, expectation.family().number())
        .with(|w| expectation.write(&Context::default(), w))
        .finish(1)
}

#[test]
fn a_tuple_with_one_port_of_two_is_refused() {
    let mut whole = ftp();
    whole.nat = Some(ExpectationNat::new(Direction::Reply, whole.tuple));
    assert_eq!(Expectation::from_message(&message(&whole)).unwrap(), whole);
    let places = [
        (&[CTA_EXPECT_TUPLE][..], "CTA_EXPECT_TUPLE"),
        (&[CTA_EXPECT_MASK], "CTA_EXPECT_MASK"),
        (&[CTA_EXPECT_MASTER], "CTA_EXPECT_MASTER"),
        (
            &[CTA_EXPECT_NAT, CTA_EXPECT_NAT_TUPLE],
            "CTA_EXPECT_NAT > CTA_EXPECT_NAT_TUPLE",
        ),
    ];
    for (place, name) in places {
        for (port, port_name) in [
            (CTA_PROTO_SRC_PORT, "CTA_PROTO_SRC_PORT"),
            (CTA_PROTO_DST_PORT, "CTA_PROTO_DST_PORT"),
        ] {
            let half = hidden(message(&whole), &[place, &[CTA_TUPLE_PROTO, port]].concat());
            let error = Expectation::from_message(&half).unwrap_err().to_string();
            let missing = format!("{name} > CTA_TUPLE_PROTO > {port_name} is missing");
            assert!(error.contains(&missing), "{error}");
        }
    }
}

#[test]
fn names_have_a_bound() {
    let refused = |expectation: Expectation, attribute: &str| {
        let error = Expectation::from_message(&message(&expectation)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("{attribute} is too long")), "{text}");
    };
    let name = |length| Some("n".repeat(length).into());
    for (helper, function) in [(15, 255), (1, 1)] {
        let mut named = ftp();
        (named.helper, named.function) = (name(helper), name(function));
        assert_eq!(Expectation::from_message(&message(&named)).unwrap(), named);
    }
    for length in [16, 30_000] {
        let helper = name(length);
        refused(Expectation { helper, ..ftp() }, "CTA_EXPECT_HELP_NAME");
    }
    for length in [256, 30_000] {
        let function = name(length);
        refused(Expectation { function, ..ftp() }, "CTA_EXPECT_FN");
    }

    let new = || NewExpectation::new(ftp().master, ftp().tuple);
    new().helper("n".repeat(15)).check().unwrap();
    new().function("n".repeat(255)).check().unwrap();
    for (new, word) in [
        (new().helper("n".repeat(16)), "helper"),
        (new().helper("n".repeat(70_000)), "helper"),
        (new().function("n".repeat(256)), "function"),
        (new().function("n".repeat(70_000)), "function"),
        (new().function(""), "function"),
        (new().function("a\0"), "function"),
    ] {
        let error = new.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(word), "{error}");
    }
}
