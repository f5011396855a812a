use proptest::prelude::*;

use super::*;
use crate::expectation::{ExpectationFlags, ExpectationNat, NewExpectation};
use crate::filter::tests::arbitrary::flow;
use crate::flow::accounting::LONGEST;
use crate::flow::{Direction, FlowKey, Tuple, Zone};
use crate::wire::message::{Frame, Verdict};

fn tcp(src: &str, dst: &str) -> Tuple {
    Tuple::tcp(src.parse().unwrap(), dst.parse().unwrap()).unwrap()
}

fn new() -> NewExpectation {
    let control = tcp("10.0.0.1:1000", "10.0.0.2:21");
    NewExpectation::new(control, tcp("10.0.0.2:0", "10.0.0.1:10000"))
}

/// The kinds of the attributes, and of those inside the tuple.
fn kinds(request: Request) -> (Vec<u16>, Vec<u16>) {
    let bytes = request.finish(1);
    let frame = Frame::first(&bytes).unwrap().unwrap();
    let (mut outer, mut inner) = (Vec::new(), Vec::new());
    let mut attributes = frame.attributes().unwrap();
    while let Some(attr) = attributes.next().unwrap() {
        outer.push(attr.kind);
        if attr.kind == CTA_EXPECT_TUPLE {
            let mut nest = attr.nest();
            while let Some(attr) = nest.next().unwrap() {
                inner.push(attr.kind);
            }
        }
    }
    (outer, inner)
}

proptest! {
    /// The kernel never takes a delete as a flush, whatever the key is.
    #[test]
    fn a_delete_has_a_whole_tuple_always(flow in flow(), zone: u16, id: Option<u32>) {
        let mut key = ExpectationKey::new(flow.orig).zone(zone);
        if let Some(id) = id {
            key = key.id(id.into());
        }
        let (outer, inner) = kinds(delete_request(&key));
        prop_assert!(outer.contains(&CTA_EXPECT_TUPLE));
        prop_assert!(!outer.contains(&CTA_EXPECT_HELP_NAME));
        prop_assert_eq!(inner, [CTA_TUPLE_IP, CTA_TUPLE_PROTO]);
        prop_assert_eq!(outer.contains(&CTA_EXPECT_ID), id.is_some());
        prop_assert_eq!(outer.contains(&CTA_EXPECT_ZONE), zone != 0);
    }
}

#[test]
fn an_errno_of_a_create_is_told_with_the_reason() {
    for (errno, kind, word) in [
        (ENOENT, ErrorKind::NotFound, "master"),
        (EOPNOTSUPP, ErrorKind::Unsupported, "has no helper"),
        (ESHUTDOWN, ErrorKind::Unsupported, "removed"),
        (EEXIST, ErrorKind::AlreadyExists, "already"),
        (EALREADY, ErrorKind::AlreadyExists, "another master"),
        (EBUSY, ErrorKind::Busy, "another expectation"),
        (EMFILE, ErrorKind::TableFull, "nf_conntrack_expect_max"),
        (EINVAL, ErrorKind::Unsupported, "no such class"),
        (ENOMEM, ErrorKind::Kernel, "the kernel is out of memory"),
        (EPERM, ErrorKind::PermissionDenied, "CAP_NET_ADMIN"),
    ] {
        let error = Error::refused(Verdict::of(errno));
        let error = create::explain(&new().class(9), error);
        assert_eq!((error.kind(), error.errno()), (kind, Some(errno)));
        assert!(error.to_string().contains(word), "{error}");
        // The error must not talk about flows.
        assert!(!error.to_string().contains("flow is"), "{error}");
        assert!(!error.to_string().contains("nf_conntrack_max"), "{error}");
    }
    let plain = create::explain(&new(), Error::refused(Verdict::of(EINVAL)));
    assert_eq!(plain.kind(), ErrorKind::Kernel);
}

#[test]
fn an_expectation_that_ended_is_not_found() {
    for errno in [ENOENT, ETIME] {
        let error = gone(Error::refused(Verdict::of(errno)));
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("expectation"), "{error}");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |new: NewExpectation, word: &str| {
        let error = new.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(word), "{error}");
    };
    let six = tcp("[fd00::1]:1", "[fd00::2]:2");
    let four = tcp("10.0.0.1:1", "10.0.0.2:2");
    new().check().unwrap();
    refused(
        NewExpectation::new(six, four),
        "tuple: it is of ipv4, and its master of ipv6",
    );
    refused(new().mask(TupleMask::exact(&six)), "mask");
    let udp = Tuple::udp("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap()).unwrap();
    refused(new().mask(TupleMask::exact(&udp)), "mask");
    refused(new().nat(ExpectationNat::new(Direction::Orig, six)), "nat");
    refused(new().flags(ExpectationFlags::USERSPACE), "flags");
    refused(new().flags(ExpectationFlags::from_bits_retain(8)), "0x8");
    refused(new().helper("a\0"), "NUL");
    refused(new().helper("sixteen-bytes-xx"), "15 bytes");
    refused(new().function(""), "function");
    refused(new().function("a\0"), "function");
    assert!(check_seconds("timeout", LONGEST).is_ok());
    let error = check_seconds("timeout", LONGEST + Duration::from_nanos(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[cfg(target_endian = "little")]
mod golden {
    use super::*;
    use crate::wire::golden::assert_bytes;

    const MASTER: &str = "3400 0180  1400 0180  0800 0100 0a000001  0800 0200 0a000002
        1c00 0280  0500 0100 06000000  0600 0200 03e80000  0600 0300 00150000";
    const TUPLE: &str = "3400 0280  1400 0180  0800 0100 0a000002  0800 0200 0a000001
        1c00 0280  0500 0100 06000000  0600 0200 00000000  0600 0300 27100000";
    const MASK: &str = "3400 0380  1400 0180  0800 0100 ffffffff  0800 0200 ffffffff
        1c00 0280  0500 0100 06000000  0600 0200 00000000  0600 0300 ffff0000";

    #[test]
    fn create() {
        assert_bytes(
            &create::request(&new()).finish(1),
            &format!("b0000000 0002 0506 01000000 00000000  02 00 0000 {MASTER} {TUPLE} {MASK}"),
        );
    }

    #[test]
    fn create_with_everything() {
        let saved = tcp("192.0.2.1:7777", "0.0.0.0:0");
        let master = FlowKey::orig(*new().master().tuple()).zone(5);
        let all = NewExpectation::new(master, *new().tuple())
            .flags(ExpectationFlags::PERMANENT)
            .class(1)
            .nat(ExpectationNat::new(Direction::Reply, saved))
            .helper("ftp")
            .function("nat-follow-master")
            .timeout(Duration::from_secs(9));
        all.check().unwrap();
        assert_bytes(
            &create::request(&all).finish(1),
            &format!(
                "28010000 0002 0506 01000000 00000000  02 00 0000 {MASTER} {TUPLE} {MASK}
                 0600 0700 00050000  0800 0800 00000001  0800 0900 00000001
                 4000 0a80  0800 0100 00000001
                   3400 0280  1400 0180  0800 0100 c0000201  0800 0200 00000000
                              1c00 0280  0500 0100 06000000  0600 0200 1e610000  0600 0300 00000000
                 0800 0600 66747000
                 1600 0b00 6e61742d 666f6c6c 6f772d6d 61737465 72000000"
            ),
        );
    }

    /// The zone of the other direction does not apply to the tuple.
    #[test]
    fn zones() {
        let control = *new().master().tuple();
        for (zone, wanted) in [(Zone::orig(7), 7), (Zone::reply(7), 0), (Zone::new(7), 7)] {
            let key = FlowKey::orig(control).zone(zone);
            assert_eq!(key.zone_id(), wanted);
        }
    }

    #[test]
    fn get_delete_and_update() {
        let key = ExpectationKey::new(*new().tuple())
            .zone(5)
            .id(0x01020304.into());
        let named = format!("02 00 0000 {TUPLE} 0600 0700 00050000 0800 0500 01020304");
        let get = format!("58000000 0102 0500 01000000 00000000 {named}");
        assert_bytes(&get_request(&key).finish(1), &get);
        let delete = format!("58000000 0202 0500 01000000 00000000 {named}");
        assert_bytes(&delete_request(&key).finish(1), &delete);
        let key = ExpectationKey::new(*new().tuple());
        let exact = MASK.replace("0600 0200 0000", "0600 0200 ffff");
        assert_bytes(
            &update_request(&key, Duration::from_millis(8_001)).finish(1),
            &format!(
                "b8000000 0002 0500 01000000 00000000  02 00 0000
                 {} {exact} {TUPLE} 0800 0400 00000009",
                TUPLE.replace("3400 0280", "3400 0180")
            ),
        );
    }

    /// The request asks for an ACK, because there is no other answer if the master has no helper.
    #[test]
    fn list() {
        let all = list::request(None, None).finish(1);
        assert_bytes(&all, "14000000 0102 0503 01000000 00000000  00 00 0000");
        let master = FlowKey::orig(*new().master().tuple()).zone(5);
        assert_bytes(
            &list::request(Some(crate::flow::Family::Ipv4), Some(&master)).finish(1),
            &format!(
                "50000000 0102 0503 01000000 00000000  02 00 0000 {MASTER} 0600 0700 00050000"
            ),
        );
    }

    #[test]
    fn flush() {
        let all = "14000000 0202 0500 01000000 00000000  00 00 0000";
        assert_bytes(&flush_request(None).finish(1), all);
        let ftp = "1c000000 0202 0500 01000000 00000000  00 00 0000  0800 0600 66747000";
        assert_bytes(&flush_request(Some("ftp".into())).finish(1), ftp);
    }
}
