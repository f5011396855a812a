use super::*;
use proptest::prelude::*;

fn frames(datagram: &[u8]) -> Vec<Result<Frame<'_>, DecodeError>> {
    let mut found = Vec::new();
    let mut rest = datagram;
    while let Some(frame) = Frame::first(rest) {
        let stride = frame.as_ref().map_or(rest.len(), Frame::stride);
        found.push(frame);
        rest = rest.get(stride..).unwrap_or_default();
    }
    found
}

#[test]
fn a_request_always_asks_and_always_wants_an_ack() {
    let request = Request::new(IPCTNL_MSG_CT_GET, 0, AF_INET).finish(7);
    let frame = Frame::first(&request).unwrap().unwrap();
    assert_eq!(frame.flags, NLM_F_REQUEST | NLM_F_ACK);
    assert_eq!((frame.kind, frame.seq), (IPCTNL_MSG_CT_GET, 7));
    assert_eq!(frame.bytes[NLMSGHDR..], [AF_INET, 0, 0, 0]);
}

#[test]
fn a_datagram_may_hold_several_messages() {
    let mut datagram = Request::new(1 << 8, 0, AF_INET).finish(1);
    datagram.extend(Request::new(2 << 8, 0, AF_INET6).finish(2));
    datagram.extend([0; 3]);
    let frames = frames(&datagram);
    let [Ok(first), Ok(second), Err(DecodeError::Truncated)] = &frames[..] else {
        panic!("{frames:?}");
    };
    assert_eq!((first.kind, first.seq), (0x100, 1));
    assert_eq!((second.kind, second.seq), (0x200, 2));
    assert_eq!(second.bytes.len(), 20);
}

#[test]
fn a_length_below_the_header_or_beyond_the_end_is_an_error() {
    for len in [0_u32, 15, 21, u32::MAX] {
        let mut message = Request::new(IPCTNL_MSG_CT_GET, 0, AF_INET).finish(1);
        message[..4].copy_from_slice(&len.to_ne_bytes());
        assert!(
            matches!(Frame::first(&message), Some(Err(DecodeError::Truncated))),
            "{len}"
        );
    }
    assert!(Frame::first(&[]).is_none());
}

#[test]
fn a_message_without_a_netfilter_header_has_no_attributes() {
    let mut message = Request::new(IPCTNL_MSG_CT_NEW, 0, AF_INET).finish(1);
    message.truncate(NLMSGHDR);
    message[..4].copy_from_slice(&16_u32.to_ne_bytes());
    let frame = Frame::first(&message).unwrap().unwrap();
    assert_eq!(frame.attributes().err(), Some(DecodeError::Truncated));
}

#[cfg(target_endian = "little")]
mod golden {
    use super::*;
    use crate::wire::golden::{assert_bytes, reply};

    #[test]
    fn probe() {
        assert_bytes(
            &Request::new(IPCTNL_MSG_CT_GET_STATS, 0, AF_UNSPEC).finish(1),
            "14000000 0501 0500 01000000 00000000  00 00 0000",
        );
    }

    #[test]
    fn verdicts() {
        const POLICY: &str = "Attribute failed policy validation";
        const LEFTOVER: &str = "bytes leftover after parsing attributes";
        for (name, errno, words) in [
            ("ack", 0, None),
            ("ack_with_words", 0, Some(LEFTOVER)),
            ("done", 0, None),
            ("error", ENOENT, None),
            ("error_uncapped", ENOENT, None),
            ("error_with_words", ERANGE, Some(POLICY)),
            ("error_with_words_uncapped", ERANGE, Some(POLICY)),
        ] {
            let bytes = reply(name);
            let frame = Frame::first(&bytes).unwrap().unwrap();
            let verdict = frame.verdict().unwrap_or_else(|| panic!("{name}"));
            assert_eq!(verdict.errno, errno, "{name}");
            let said = verdict.ext_ack.and_then(|ext_ack| ext_ack.message);
            assert_eq!(
                said.as_deref().map(|text| text.contains(words.unwrap())),
                words.map(|_| true),
                "{name}: {said:?}"
            );
            assert!(
                frame.is_control() && frame.is_verdict_of(frame.seq),
                "{name}"
            );
            assert!(!frame.is_verdict_of(frame.seq + 1), "{name}");
        }
    }

    #[test]
    fn a_dump_that_ends_in_an_error_says_so() {
        let mut done = reply("done");
        done[16..20].copy_from_slice(&(-ENOMEM).to_ne_bytes());
        let verdict = Frame::first(&done).unwrap().unwrap().verdict().unwrap();
        assert_eq!(verdict.errno, ENOMEM);
    }

    #[test]
    fn data_is_no_verdict() {
        let bytes = reply("tcp_ipv4");
        let frame = Frame::first(&bytes).unwrap().unwrap();
        assert_eq!(frame.verdict(), None);
        assert!(!frame.is_control());
        assert_eq!(frame.flags, NLM_F_MULTI);
    }

    proptest! {
        #[test]
        fn a_verdict_with_damage_never_panics(
            at in 0usize..132, bit in 0u8..8, len in 0usize..=132,
        ) {
            for name in ["ack_with_words", "error_with_words", "error_with_words_uncapped"] {
                let mut bytes = reply(name);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << bit;
                }
                bytes.truncate(len);
                // As a kernel does that sends the length of the data.
                let told = u32::try_from(bytes.len()).unwrap();
                if let Some(len) = bytes.get_mut(..4) {
                    len.copy_from_slice(&told.to_ne_bytes());
                }
                if let Some(Ok(frame)) = Frame::first(&bytes) {
                    let _ = frame.verdict();
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn any_datagram_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for frame in frames(&bytes).into_iter().flatten() {
            let _ = (frame.verdict(), frame.attributes());
        }
    }

    #[test]
    fn any_body_behind_a_header_can_be_read(
        kind in prop_oneof![Just(NLMSG_ERROR), Just(NLMSG_DONE), any::<u16>()],
        flags: u16,
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = Request::new(kind, flags, 0).finish(1);
        bytes.truncate(NLMSGHDR);
        bytes.extend(&body);
        let len = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&len.to_ne_bytes());
        let frame = Frame::first(&bytes).unwrap().unwrap();
        prop_assert_eq!(frame.bytes.len(), bytes.len());
        let _ = (frame.verdict(), frame.attributes());
    }
}
