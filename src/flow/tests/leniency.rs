//! What a decoder of netlink must accept: flags in types, padding, attributes of newer kernels,
//! longer integers, another order.

use proptest::prelude::*;

use super::arbitrary::flow;
use super::message;
use crate::flow::*;
use crate::wire::attr::{Attribute, Attributes, Writer, align4};
use crate::wire::uapi::*;

const HEADERS: usize = 20;
const NET_BYTEORDER: u16 = 0x4000;
/// A number that no kernel uses in any nest.
const UNKNOWN: u16 = 0x0fff;

/// How to change a message without changing its meaning.
#[derive(Debug, Clone, Copy)]
struct Disguise {
    flags: bool,
    unknown: bool,
    padding: bool,
    longer: bool,
    reversed: bool,
}

fn disguise() -> impl Strategy<Value = Disguise> {
    any::<(bool, bool, bool, bool, bool)>().prop_map(
        |(flags, unknown, padding, longer, reversed)| Disguise {
            flags,
            unknown,
            padding,
            longer,
            reversed,
        },
    )
}

impl Disguise {
    fn message(self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = whole[..HEADERS].to_vec();
        bytes.extend(self.attributes(&whole[HEADERS..], &[]));
        let len = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&len.to_ne_bytes());
        bytes
    }

    /// `path` has the numbers of the nests around, the outermost first.
    fn attributes(self, plain: &[u8], path: &[u16]) -> Vec<u8> {
        let mut parts = Vec::new();
        let mut rest = plain;
        while let Ok(Some(attr)) = Attributes(rest).next() {
            let nested = rest[3] & 0x80 != 0;
            rest = &rest[align4(4 + attr.payload.len())..];
            let mut bytes = Vec::new();
            if self.unknown {
                Writer(&mut bytes).put(UNKNOWN, &[0xff; 3]);
                Writer(&mut bytes).nest(UNKNOWN, |w| w.put(UNKNOWN, &7_u32));
            }
            if let Some(pad) = pad(path).filter(|_| self.padding) {
                Writer(&mut bytes).put(pad, &[]);
            }
            let path = [path, &[attr.kind]].concat();
            self.attribute(attr, nested, &path, &mut bytes);
            parts.push(bytes);
        }
        if self.reversed {
            parts.reverse();
        }
        parts.concat()
    }

    fn attribute(self, attr: Attribute<'_>, nested: bool, path: &[u16], bytes: &mut Vec<u8>) {
        let mut payload = attr.payload.to_vec();
        let mut kind = attr.kind;
        if nested {
            payload = self.attributes(&payload, path);
            if !self.flags {
                kind |= NLA_F_NESTED;
            }
        } else {
            if self.flags {
                kind |= NET_BYTEORDER;
            }
            // All other values have a fixed size, or end at a NUL.
            if self.longer && *path != [CTA_HELP, CTA_HELP_INFO] {
                payload.extend([0xee; 5]);
            }
        }
        Writer(bytes).put(kind, &Box::<[u8]>::from(payload));
    }
}

/// The number of the padding that aligns the 64-bit values of a nest on some machines.
fn pad(path: &[u16]) -> Option<u16> {
    match path {
        [CTA_COUNTERS_ORIG | CTA_COUNTERS_REPLY] => Some(5),
        [CTA_PROTOINFO, CTA_PROTOINFO_DCCP] => Some(4),
        [CTA_TIMESTAMP] => Some(3),
        _ => None,
    }
}

proptest! {
    #[test]
    fn a_disguised_flow_is_the_same(flow in flow(), disguise in disguise()) {
        let disguised = disguise.message(&message(&flow));
        prop_assert_eq!(Flow::from_message(&disguised).unwrap(), flow);
    }

    #[test]
    fn unknown_states_and_bits_are_kept(state in 10u8.., status: u32, flags: u8) {
        let ends = ("[::1]:1".parse().unwrap(), "[::2]:2".parse().unwrap());
        let tuple = Tuple::tcp(ends.0, ends.1).unwrap();
        let mut flow = Flow::new(tuple, tuple.inverse());
        flow.status = Status::from_bits_retain(status);
        flow.protoinfo = Some(ProtoInfo::Tcp(TcpInfo {
            state: TcpState::from(state),
            flags_orig: Some(TcpFlags::from_bits_retain(flags).into()),
            ..TcpInfo::default()
        }));
        let read = Flow::from_message(&message(&flow)).unwrap();
        prop_assert_eq!(read.status.bits(), status);
        prop_assert_eq!(read, flow);
    }
}

#[test]
fn the_disguises_show() {
    let ends = ("[::1]:1".parse().unwrap(), "[::2]:2".parse().unwrap());
    let tuple = Tuple::tcp(ends.0, ends.1).unwrap();
    let mut flow = Flow::new(tuple, tuple.inverse());
    flow.counters_orig = Some(Counters::default());
    let plain = message(&flow);
    let none = Disguise {
        flags: false,
        unknown: false,
        padding: false,
        longer: false,
        reversed: false,
    };
    assert_eq!(none.message(&plain), plain);
    for disguise in [
        Disguise {
            flags: true,
            ..none
        },
        Disguise {
            unknown: true,
            ..none
        },
        Disguise {
            padding: true,
            ..none
        },
        Disguise {
            longer: true,
            ..none
        },
        Disguise {
            reversed: true,
            ..none
        },
    ] {
        assert_ne!(disguise.message(&plain), plain, "{disguise:?}");
    }
}
