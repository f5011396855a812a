//! What is encoded is decoded again, and damaged bytes are at worst an error.

use proptest::prelude::*;

use super::arbitrary::flow;
use super::{at, hidden, message};
use crate::ErrorKind;
use crate::flow::*;
use crate::wire::uapi::*;

proptest! {
    #[test]
    fn every_flow_survives(flow in flow()) {
        prop_assert_eq!(&Flow::from_message(&message(&flow)).unwrap(), &flow);
        #[cfg(feature = "serde")]
        reads_back(flow)?;
    }

    #[test]
    fn a_message_cut_short_is_an_error(flow in flow(), part in 0.0..1.0_f64) {
        let whole = message(&flow);
        let cut = &whole[..(whole.len() as f64 * part) as usize];
        let error = Flow::from_message(cut).unwrap_err();
        prop_assert_eq!(error.kind(), ErrorKind::Decode);
        prop_assert_eq!(error.bytes(), Some(cut));
    }

    /// The length in the header is that of the cut message, as if the kernel had sent no more.
    #[test]
    fn attributes_cut_short_never_panic(flow in flow(), part in 0.0..1.0_f64) {
        let whole = message(&flow);
        let mut cut = whole[..16.max((whole.len() as f64 * part) as usize)].to_vec();
        let len = u32::try_from(cut.len()).unwrap();
        cut[..4].copy_from_slice(&len.to_ne_bytes());
        let _ = Flow::from_message(&cut);
    }

    #[test]
    fn flipped_bits_never_panic(
        flow in flow(),
        flips in proptest::collection::vec((0.0..1.0_f64, 0u8..8), 1..6),
    ) {
        let mut bytes = message(&flow);
        for (at, bit) in flips {
            let at = (bytes.len() as f64 * at) as usize;
            bytes[at] ^= 1 << bit;
        }
        if let Ok(flow) = Flow::from_message(&bytes) {
            let _ = (flow.to_string(), format!("{flow:#} {flow:?}"), message(&flow));
            let _ = FlowKey::from(&flow).names(&flow);
            let _ = NewFlow::from(&flow).check();
            #[cfg(feature = "serde")]
            reads_back(flow)?;
        }
    }

    #[test]
    fn any_attributes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let message = crate::wire::message::Request::new(0x100, 0, 2);
        let mut message = message.finish(1);
        message.extend(bytes);
        let len = u32::try_from(message.len()).unwrap();
        message[..4].copy_from_slice(&len.to_ne_bytes());
        let _ = Flow::from_message(&message);
    }

    #[test]
    fn a_flow_has_its_own_key(flow in flow()) {
        prop_assert!(FlowKey::from(&flow).names(&flow));
        prop_assert!(FlowKey::reply(flow.reply).names(&flow));
    }

    #[test]
    fn tuples_invert_twice_to_themselves(flow in flow()) {
        prop_assert_eq!(flow.orig.inverse().inverse(), flow.orig);
        prop_assert_eq!(flow.orig.inverse().family(), flow.orig.family());
        prop_assert_eq!(flow.orig.inverse().src(), flow.orig.dst());
        prop_assert!(flow.orig.inverse().is_inverse_of(&flow.orig));
        let is_inverse = flow.reply == flow.orig.inverse();
        prop_assert_eq!(flow.reply.is_inverse_of(&flow.orig), is_inverse);
    }
}

/// Any decoded flow is read back from JSON and from a binary format, and so is its request.
#[cfg(feature = "serde")]
fn reads_back(flow: Flow) -> Result<(), TestCaseError> {
    let text = serde_json::to_string(&flow).unwrap();
    let read = serde_json::from_str::<Flow>(&text).ok();
    prop_assert_eq!(read.as_ref(), Some(&flow), "{}", text);
    let bytes = postcard::to_allocvec(&flow).unwrap();
    let read = postcard::from_bytes::<Flow>(&bytes).ok();
    prop_assert_eq!(read.as_ref(), Some(&flow), "{}", text);
    let new = NewFlow::from(&flow);
    let text = serde_json::to_string(&new).unwrap();
    let read = serde_json::from_str::<NewFlow>(&text).ok();
    prop_assert_eq!(read, Some(new), "{}", text);
    Ok(())
}

/// The error of a message in which the attribute at `path` has another number.
fn without(path: &[u16]) -> String {
    let ends = ("[::1]:1".parse().unwrap(), "[::2]:2".parse().unwrap());
    let tuple = Tuple::tcp(ends.0, ends.1).unwrap();
    let mut flow = Flow::new(tuple, tuple.inverse());
    flow.protoinfo = Some(TcpState::ESTABLISHED.into());
    flow.counters_orig = Some(Counters::default());
    let error = Flow::from_message(&hidden(message(&flow), path)).unwrap_err();
    error.decode_error().unwrap().to_string()
}

#[test]
fn what_is_missing_is_named_with_its_place() {
    for (path, expected) in [
        (&[1][..], "CTA_TUPLE_ORIG is missing"),
        (&[2], "CTA_TUPLE_REPLY is missing"),
        (&[3], "CTA_STATUS is missing"),
        (&[1, 1], "CTA_TUPLE_ORIG > CTA_TUPLE_IP is missing"),
        (
            &[2, 1, 3],
            "CTA_TUPLE_REPLY > CTA_TUPLE_IP > CTA_IP_V6_SRC is missing",
        ),
        (
            &[2, 2, 1],
            "CTA_TUPLE_REPLY > CTA_TUPLE_PROTO > CTA_PROTO_NUM is missing",
        ),
        // A tuple with one of its two ports is an error.
        (
            &[1, 2, 3],
            "CTA_TUPLE_ORIG > CTA_TUPLE_PROTO > CTA_PROTO_DST_PORT is missing",
        ),
        (
            &[1, 2, 2],
            "CTA_TUPLE_ORIG > CTA_TUPLE_PROTO > CTA_PROTO_SRC_PORT is missing",
        ),
        (
            &[4, 1, 1],
            "CTA_PROTOINFO > CTA_PROTOINFO_TCP > CTA_PROTOINFO_TCP_STATE is missing",
        ),
        (
            &[9, 1],
            "CTA_COUNTERS_ORIG > CTA_COUNTERS_PACKETS is missing",
        ),
    ] {
        assert_eq!(without(path), expected);
    }
}

#[test]
fn what_is_cut_short_is_named_with_its_place() {
    let ends = ("[::1]:1".parse().unwrap(), "[::2]:2".parse().unwrap());
    let tuple = Tuple::tcp(ends.0, ends.1).unwrap();
    for (len, expected) in [
        (
            7_u16,
            "CTA_TUPLE_ORIG > CTA_TUPLE_IP > CTA_IP_V6_DST is too short",
        ),
        (
            2,
            "CTA_TUPLE_ORIG > CTA_TUPLE_IP: a length runs past its end",
        ),
    ] {
        let mut bytes = message(&Flow::new(tuple, tuple.inverse()));
        let at = at(&bytes, &[1, 1, 4]);
        bytes[at..at + 2].copy_from_slice(&len.to_ne_bytes());
        let error = Flow::from_message(&bytes).unwrap_err();
        let cause = error.decode_error().unwrap();
        assert_eq!(cause.to_string(), expected);
    }
}

/// The kernel's names have at most 15 bytes, and a helper's own data has at most 32. Longer ones do
/// not decode, and do not overflow a length when they are encoded.
#[test]
fn names_are_bounded() {
    let ends = ("[::1]:1".parse().unwrap(), "[::2]:2".parse().unwrap());
    let tuple = Tuple::tcp(ends.0, ends.1).unwrap();
    let with = |name: usize, info: usize, secctx: usize| {
        let mut helper = Helper::new("n".repeat(name));
        helper.info = Some(vec![7; info].into());
        let mut flow = Flow::new(tuple, tuple.inverse());
        flow.set_helper(helper);
        flow.set_secctx(SecCtx::new("s".repeat(secctx)));
        flow
    };
    let flow = with(15, 32, 4095);
    assert_eq!(Flow::from_message(&message(&flow)).unwrap(), flow);
    for (flow, path) in [
        (with(16, 0, 0), "CTA_HELP > CTA_HELP_NAME is too long"),
        (with(30_000, 0, 0), "CTA_HELP > CTA_HELP_NAME is too long"),
        (
            with(70_000, 70_000, 70_000),
            "CTA_HELP > CTA_HELP_NAME is too long",
        ),
        (with(1, 33, 0), "CTA_HELP > CTA_HELP_INFO is too long"),
        (
            with(1, 0, 70_000),
            "CTA_SECCTX > CTA_SECCTX_NAME is too long",
        ),
    ] {
        let error = Flow::from_message(&message(&flow)).unwrap_err();
        let cause = error.decode_error().unwrap();
        assert_eq!(cause.to_string(), path);
    }
}

/// To the kernel, a flow that another program made with such addresses is an IPv6 flow. It is shown
/// as it is, so that it can be deleted.
#[test]
fn mapped_addresses_from_the_kernel_stay_of_ipv6() {
    let ends = ("[::1]:1".parse().unwrap(), "[::2]:2".parse().unwrap());
    let tuple = Tuple::udp(ends.0, ends.1).unwrap();
    let mut bytes = message(&Flow::new(tuple, tuple.inverse()));
    let [plain, mapped] = ["::1", "::ffff:10.0.0.1"]
        .map(|address| address.parse::<std::net::Ipv6Addr>().unwrap().octets());
    for at in 0..bytes.len() - 16 {
        if bytes[at..at + 16] == plain {
            bytes[at..at + 16].copy_from_slice(&mapped);
        }
    }
    let flow = Flow::from_message(&bytes).unwrap();
    assert_eq!(flow.family(), Family::Ipv6);
    assert_eq!(flow.orig.src().to_string(), "::ffff:10.0.0.1");
    assert_eq!(message(&flow), bytes);
}

/// Both ports, or none: with one of two, the tuple would name another flow.
#[test]
fn half_a_protocol_is_missing_the_other_half() {
    let of = |text: &str| text.parse::<Tuple>().unwrap();
    let ports = [
        (CTA_PROTO_SRC_PORT, "CTA_PROTO_SRC_PORT"),
        (CTA_PROTO_DST_PORT, "CTA_PROTO_DST_PORT"),
    ];
    let echo = [
        (CTA_PROTO_ICMP_ID, "CTA_PROTO_ICMP_ID"),
        (CTA_PROTO_ICMP_TYPE, "CTA_PROTO_ICMP_TYPE"),
        (CTA_PROTO_ICMP_CODE, "CTA_PROTO_ICMP_CODE"),
    ];
    for (tuple, fields) in [
        (of("tcp src=::1 dst=::2 sport=1 dport=2"), &ports[..]),
        (of("sctp src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2"), &ports),
        (
            of("gre src=10.0.0.1 dst=10.0.0.2 srckey=1 dstkey=2"),
            &ports,
        ),
        (
            of("icmp src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=7"),
            &echo,
        ),
    ] {
        let mut flow = Flow::new(tuple, tuple.inverse());
        flow.set_master(Some(tuple));
        let whole = message(&flow);
        assert_eq!(Flow::from_message(&whole).unwrap(), flow);
        for (place, name) in [
            (CTA_TUPLE_ORIG, "CTA_TUPLE_ORIG"),
            (CTA_TUPLE_REPLY, "CTA_TUPLE_REPLY"),
            (CTA_TUPLE_MASTER, "CTA_TUPLE_MASTER"),
        ] {
            for (field, field_name) in fields {
                let half = hidden(whole.clone(), &[place, CTA_TUPLE_PROTO, *field]);
                let error = Flow::from_message(&half).unwrap_err().to_string();
                let missing = format!("{name} > CTA_TUPLE_PROTO > {field_name} is missing");
                assert!(error.contains(&missing), "{error}");
            }
        }
    }
}
