//! What is written is read again, and damage is an error at worst.

use proptest::prelude::*;

use super::arbitrary::flow;
use super::message;
use crate::ErrorKind;
use crate::flow::*;

proptest! {
    #[test]
    fn every_flow_survives(flow in flow()) {
        prop_assert_eq!(Flow::from_message(&message(&flow)).unwrap(), flow);
    }

    #[test]
    fn a_message_cut_short_is_an_error(flow in flow(), part in 0.0..1.0_f64) {
        let whole = message(&flow);
        let cut = &whole[..(whole.len() as f64 * part) as usize];
        let error = Flow::from_message(cut).unwrap_err();
        prop_assert_eq!(error.kind(), ErrorKind::Decode);
        prop_assert_eq!(error.bytes(), Some(cut));
    }

    /// The header tells of the cut, as if the kernel had sent no more.
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
    }
}

#[test]
fn each_attribute_that_must_be_there_is_missed_by_its_number() {
    use crate::wire::attr::{DecodeError, Writer};
    use crate::wire::table::Context;
    use crate::wire::uapi::{CTA_STATUS, CTA_TUPLE_ORIG, CTA_TUPLE_REPLY};

    let tuple = Tuple::udp("[::1]:1".parse().unwrap(), "[::2]:2".parse().unwrap()).unwrap();
    let cx = Context::default();
    for missing in [CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_STATUS] {
        let mut bytes = Vec::new();
        let mut w = Writer(&mut bytes);
        Flow::orig.put_some((missing != CTA_TUPLE_ORIG).then_some(&tuple), &mut w);
        Flow::reply.put_some((missing != CTA_TUPLE_REPLY).then_some(&tuple), &mut w);
        let status = Status::CONFIRMED;
        Flow::status.put_some((missing != CTA_STATUS).then_some(&status), &mut w);
        let read = Flow::read(crate::wire::attr::Attributes(&bytes), &mut cx.clone());
        assert_eq!(read, Err(DecodeError::Missing { attribute: missing }));
    }
}

/// A flow that another program made with such addresses is one of IPv6 to the kernel: it is shown
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
