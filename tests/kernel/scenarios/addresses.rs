//! IPv6 addresses of `CTA_FILTER`, whose comparison many kernels invert. The running kernel must do
//! what the fake kernel of its release does.

use std::net::Ipv6Addr;

use super::bytes::{Attrs, kind, message, split};
use super::sides::{Fake, Real, Side};

const REQUEST: u16 = 1;
const ACK: u16 = 4;
const EXCL: u16 = 0x200;
const CREATE: u16 = 0x400;
const DUMP: u16 = 0x300;
const NEW: u16 = 0x0100;
const GET: u16 = 0x0101;
const SOURCE: u32 = 1;
const DESTINATION: u32 = 2;

pub(super) fn are_compared_alike() {
    let (real, fake) = (Real::open(), Fake::open());
    for side in [&real as &dyn Side, &fake] {
        side.clear();
        side.exchange(&create());
    }
    for flag in [SOURCE, DESTINATION] {
        for (src, dst) in [(1, 2), (3, 4)] {
            let dump = dump(flag, src, dst);
            let [expected, found] = [&real as &dyn Side, &fake].map(|side| flows(side, &dump));
            assert_eq!(found, expected, "field {flag} of {src} and {dst}");
        }
    }
}

/// The number of flows in a dump.
fn flows(side: &dyn Side, dump: &[u8]) -> usize {
    let answers = side.exchange(dump);
    let messages = answers.iter().flat_map(|datagram| split(datagram));
    messages.filter(|message| kind(message) == NEW).count()
}

fn create() -> Vec<u8> {
    let mut attrs = Attrs::default();
    for (nest, [src, dst], ports) in [(1, [1, 2], [7, 8]), (2, [2, 1], [8, 7_u16])] {
        attrs.nest(nest, |w| {
            addresses(w, src, dst);
            w.nest(2, |w| {
                w.put(1, &[17]);
                w.u16(2, ports[0]);
                w.u16(3, ports[1]);
            });
        });
    }
    attrs.u32(7, 600);
    request(NEW, ACK | CREATE | EXCL, &attrs)
}

fn dump(flag: u32, src: u16, dst: u16) -> Vec<u8> {
    let mut attrs = Attrs::default();
    attrs.nest(25, |w| w.put(1, &flag.to_ne_bytes()));
    attrs.nest(1, |w| addresses(w, src, dst));
    request(GET, DUMP, &attrs)
}

fn addresses(w: &mut Attrs, src: u16, dst: u16) {
    w.nest(1, |w| {
        for (kind, end) in [(3, src), (4, dst)] {
            w.put(kind, &Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, end).octets());
        }
    });
}

fn request(kind: u16, flags: u16, attrs: &Attrs) -> Vec<u8> {
    let mut body = vec![10, 0, 0, 0];
    body.extend_from_slice(&attrs.0);
    message(kind, REQUEST | flags, 1, &body)
}
