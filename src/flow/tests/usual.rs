//! Nests of the usual shape, and attributes in the usual order, are read without a walk. The result
//! is the same as with a walk.

use std::fmt::Debug;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::arbitrary::{flow, tuple};
use crate::flow::*;
use crate::wire::attr::{Attributes, Writer};
use crate::wire::table::Codec;
use crate::wire::uapi::*;

/// The nest of a value, without its header.
fn nest(value: &impl Codec) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(0, &Context::default(), &mut Writer(&mut bytes));
    bytes.split_off(4)
}

/// Checks that the result is the same without a walk and with one. Returns whether it needed no
/// walk.
fn agrees<T: Codec + Debug + PartialEq>(payload: &[u8]) -> bool {
    let usual = T::usual(payload);
    if let Some(usual) = &usual {
        let mut cx = Context::default();
        assert_eq!(T::decode(payload, &mut cx).as_ref(), Ok(usual));
        assert_eq!(cx.zone_orig.or(cx.zone_reply).or(cx.zone), None);
    }
    usual.is_some()
}

fn all_agree(payload: &[u8]) {
    agrees::<Tuple>(payload);
    agrees::<ProtoInfo>(payload);
    agrees::<TcpInfo>(payload);
    agrees::<SctpInfo>(payload);
    agrees::<DccpInfo>(payload);
    agrees::<Counters>(payload);
    agrees::<Timestamp>(payload);
    agrees::<SeqAdj>(payload);
    agrees::<SynProxy>(payload);
    agrees::<Helper>(payload);
}

/// The order of the attributes in a dump. Others come last.
const IN_DUMPS: [u16; 11] = [
    CTA_TUPLE_ORIG,
    CTA_TUPLE_REPLY,
    CTA_ZONE,
    CTA_STATUS,
    CTA_MARK,
    CTA_ID,
    CTA_USE,
    CTA_TIMEOUT,
    CTA_PROTOINFO,
    CTA_COUNTERS_ORIG,
    CTA_COUNTERS_REPLY,
];

/// The order of the attributes in an event. Others, and the mark, come last.
const IN_EVENTS: [u16; 7] = [
    CTA_TUPLE_ORIG,
    CTA_TUPLE_REPLY,
    CTA_ZONE,
    CTA_ID,
    CTA_STATUS,
    CTA_TIMEOUT,
    CTA_PROTOINFO,
];

/// The attributes of a flow, in this order.
fn in_order(flow: &Flow, order: &[u16]) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    flow.write(&Context::default(), &mut Writer(&mut bytes));
    let mut attributes = Vec::new();
    while let [l0, l1, k0, k1, ..] = bytes[..] {
        let len = usize::from(u16::from_ne_bytes([l0, l1]));
        let kind = u16::from_ne_bytes([k0, k1]) & NLA_TYPE_MASK;
        let rest = bytes.split_off(len.next_multiple_of(4));
        attributes.push((kind, std::mem::replace(&mut bytes, rest)));
    }
    let place = |kind: &u16| order.iter().position(|other| other == kind);
    attributes.sort_by_key(|(kind, _)| place(kind).unwrap_or(order.len()));
    attributes.into_iter().map(|(_, bytes)| bytes).collect()
}

fn read(attributes: &[u8]) -> Result<Flow, DecodeError> {
    Flow::read(Attributes(attributes), &mut Context::default())
}

/// With an unknown attribute in front, all of them are walked.
fn orders_agree(attributes: &[u8]) {
    let unknown = [8, 0, 0xff, 0x3f, 0, 0, 0, 0];
    assert_eq!(read(attributes), read(&[&unknown, attributes].concat()));
}

/// The nests that the kernel writes for a flow that has all of them.
fn nests() -> impl Strategy<Value = Vec<Vec<u8>>> {
    (
        flow(),
        any::<[u64; 2]>(),
        any::<[u32; 3]>(),
        any::<[u8; 6]>(),
    )
        .prop_map(
            |(
                flow,
                [packets, bytes],
                [isn, its, tsoff],
                [state, orig, reply, flags, mask, other],
            )| {
                let bits = TcpFlags::from_bits_retain;
                let tcp = TcpInfo::new(state.into())
                    .wscale(orig, reply)
                    .flags(Masked::new(bits(flags), bits(mask)), bits(other));
                vec![
                    nest(&flow.orig),
                    nest(&flow.reply),
                    nest(&Counters::new(packets, bytes)),
                    nest(&SynProxy::new(isn, its, tsoff)),
                    nest(&SeqAdj::new(isn, its as i32, tsoff as i32)),
                    nest(&tcp),
                    nest(&ProtoInfo::Tcp(tcp)),
                ]
            },
        )
}

proptest! {
    #[test]
    fn the_kernels_nests_need_no_walk(tuple in tuple(), nests in nests()) {
        let has_fields = tuple.src_port().is_some() || tuple.icmp_echo().is_some();
        prop_assert_eq!(agrees::<Tuple>(&nest(&tuple)), has_fields);
        let [_, _, counters, synproxy, seqadj, tcp, protoinfo] = &nests[..] else {
            unreachable!();
        };
        prop_assert!(agrees::<Counters>(counters));
        prop_assert!(agrees::<SynProxy>(synproxy));
        prop_assert!(agrees::<SeqAdj>(seqadj));
        prop_assert!(agrees::<TcpInfo>(tcp));
        prop_assert!(agrees::<ProtoInfo>(protoinfo));
    }

    #[test]
    fn any_bytes_agree(bytes in vec(any::<u8>(), 0..100)) {
        all_agree(&bytes);
    }

    /// Each nest with some bits changed, cut, longer, and with any bytes in its padding.
    #[test]
    fn damaged_nests_agree(
        nests in nests(),
        flips in vec((any::<Index>(), 0_u8..8), 0..4),
        cut in any::<Index>(),
        more in vec(any::<u8>(), 0..9),
    ) {
        for mut nest in nests {
            all_agree(&nest[..cut.index(nest.len() + 1)]);
            all_agree(&[&nest[..], &more].concat());
            for (at, bit) in &flips {
                let at = at.index(nest.len());
                nest[at] ^= 1 << bit;
            }
            all_agree(&nest);
        }
    }

    /// Attributes in the kernel's order, with some swapped, repeated, damaged or cut off.
    #[test]
    fn any_order_agrees(
        flow in flow(),
        in_event: bool,
        swaps in vec((any::<Index>(), any::<Index>()), 0..4),
        again in vec(any::<Index>(), 0..3),
        flips in vec((any::<Index>(), 0_u8..8), 0..3),
        cut in any::<Index>(),
    ) {
        let order = if in_event { &IN_EVENTS[..] } else { &IN_DUMPS };
        let mut attributes = in_order(&flow, order);
        orders_agree(&attributes.concat());
        prop_assert!(read(&attributes.concat()).is_ok());
        for index in again {
            attributes.push(attributes[index.index(attributes.len())].clone());
        }
        for (a, b) in swaps {
            let len = attributes.len();
            attributes.swap(a.index(len), b.index(len));
        }
        let mut bytes = attributes.concat();
        orders_agree(&bytes);
        orders_agree(&bytes[..cut.index(bytes.len())]);
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        orders_agree(&bytes);
    }

    /// The protocol decides which fields of a tuple count.
    #[test]
    fn fields_of_any_protocol_agree(tuple in tuple(), protocol: u8) {
        let mut bytes = nest(&tuple);
        let after_addresses = 4 + usize::from(u16::from_ne_bytes([bytes[0], bytes[1]])) + 4;
        bytes[after_addresses] = protocol;
        let needs_no_walk = match (tuple.src_port(), tuple.icmp_echo()) {
            (Some(_), _) => ![IPPROTO_ICMP, IPPROTO_ICMPV6].contains(&protocol),
            // The two protocols have attributes of their own.
            (_, Some(_)) => tuple.protocol() == protocol,
            (None, None) => false,
        };
        prop_assert_eq!(agrees::<Tuple>(&bytes), needs_no_walk);
    }
}
