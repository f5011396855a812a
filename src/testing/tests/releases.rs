//! Tests the rules of the releases with one request and one flow.

use std::net::Ipv6Addr;

use super::drain;
use crate::flow::{Family, Flow, FlowId, Tuple};
use crate::testing::judge::{Kernel, RELEASES};
use crate::testing::{self, FakeSocket};
use crate::wire::attr::Writer;
use crate::wire::message::Request;
use crate::wire::uapi::*;

fn tcp() -> Flow {
    let ends = ["10.0.0.1:1000", "10.0.0.2:443"].map(|end| end.parse().expect("an end"));
    let tuple = Tuple::tcp(ends[0], ends[1]).expect("one family");
    Flow::new(tuple, tuple.inverse())
}

fn udp6() -> Flow {
    let ends = ["[fd00::1]:1000", "[fd00::2]:53"].map(|end| end.parse().expect("an end"));
    let tuple = Tuple::udp(ends[0], ends[1]).expect("one family");
    Flow::new(tuple, tuple.inverse())
}

fn dump(family: Family, fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let request = Request::new(IPCTNL_MSG_CT_GET, NLM_F_DUMP, family.number());
    request.with(fill).finish(1)
}

#[test]
fn of_a_dump() {
    let flow = udp6();
    let handed = |release, request: &[u8]| Kernel::of(release).hands_over(request, &flow);
    let zone = dump(Family::Ipv6, |w| w.put(CTA_ZONE, &5_u16));
    assert_eq!(handed((6, 6), &zone), Ok(true));
    assert_eq!(handed((6, 8), &zone), Ok(false));
    let mark = dump(Family::Ipv6, |w| w.put(CTA_MARK, &5_u32));
    assert_eq!(handed((5, 4), &mark), Ok(true));
    assert_eq!(handed((5, 10), &mark), Ok(false));
    let address = dump(Family::Ipv6, source_is_fd00_1);
    assert_eq!(handed((5, 4), &address), Ok(true));
    assert_eq!(handed((6, 18), &address), Ok(false));
    assert_eq!(handed((6, 12), &address), Ok(true));
}

/// For a kernel that is built without marks.
#[test]
fn of_the_question_for_marks() {
    let mask = dump(Family::Ipv4, |w| w.put(CTA_MARK_MASK, &u32::MAX));
    for kernel in Kernel::all() {
        let refuses = kernel.marks && kernel.release >= (5, 8);
        let expected = if refuses { Err(EINVAL) } else { Ok(true) };
        assert_eq!(kernel.hands_over(&mask, &tcp()), expected, "{kernel:?}");
    }
}

fn source_is_fd00_1(w: &mut Writer<'_>) {
    w.nest(CTA_FILTER, |w| {
        w.put(CTA_FILTER_ORIG_FLAGS, &1_u32.to_ne_bytes())
    });
    w.nest(CTA_TUPLE_ORIG, |w| {
        let address: Ipv6Addr = "fd00::1".parse().expect("an address");
        w.nest(CTA_TUPLE_IP, |w| w.put(CTA_IP_V6_SRC, &address));
    });
}

fn guard(w: &mut Writer<'_>) {
    w.nest(CTA_FILTER, |_| {});
}

fn write_tuple(w: &mut Writer<'_>, tuple: &Tuple) {
    Flow::orig.put(tuple, &Default::default(), w);
}

/// Whether the flow is removed, or the errno.
type Outcome = Result<bool, i32>;

const REMOVED: Outcome = Ok(true);
const LEFT: Outcome = Ok(false);

/// The outcome for the flow, on each release where it changes.
#[track_caller]
fn flushed(
    flow: &Flow,
    (family, version): (u8, u8),
    fill: impl Fn(&mut Writer<'_>),
    outcomes: &[((u16, u16), Outcome)],
) {
    let request = Request::new(IPCTNL_MSG_CT_DELETE, 0, family).version(version);
    let request = request.with(|w| fill(w)).finish(1);
    for release in RELEASES {
        let since = outcomes.iter().rev().find(|(since, _)| release >= *since);
        let outcome = Kernel::of(release).removes(&request, flow);
        assert_eq!(outcome, since.expect("an outcome").1, "{release:?}");
    }
}

/// The flow is IPv4, with mark 1, in zone 0.
#[test]
fn of_a_flush() {
    let flow = Flow {
        mark: Some(1),
        ..tcp()
    };
    let first = (0, 0);
    let mark = |w: &mut Writer<'_>, mark: u32| {
        w.put(CTA_MARK, &mark);
        w.put(CTA_MARK_MASK, &u32::MAX);
    };
    // No attributes: in version 0, both families are removed.
    flushed(&flow, (AF_INET6, 0), |_| {}, &[(first, REMOVED)]);
    let of_v6 = [(first, REMOVED), ((5, 3), LEFT)];
    flushed(&flow, (AF_INET6, 1), |_| {}, &of_v6);
    flushed(&flow, (AF_INET, 1), |_| {}, &[(first, REMOVED)]);
    // A mark with its mask works everywhere.
    flushed(&flow, (0, 1), |w| mark(w, 1), &[(first, REMOVED)]);
    flushed(&flow, (0, 1), |w| mark(w, 2), &[(first, LEFT)]);
    let without_mask = |w: &mut Writer<'_>| w.put(CTA_MARK, &2_u32);
    let compared_since_5_8 = [(first, REMOVED), ((5, 8), LEFT)];
    flushed(&flow, (0, 1), without_mask, &compared_since_5_8);
    // A mask without a mark is ignored, and everything is removed.
    for (mask, since) in [(CTA_MARK_MASK, (5, 8)), (CTA_STATUS_MASK, (5, 15))] {
        let mask = |w: &mut Writer<'_>| w.put(mask, &u32::MAX);
        flushed(&flow, (0, 1), mask, &[(first, REMOVED)]);
        let refused = [(first, REMOVED), (since, Err(EINVAL))];
        flushed(&flow, (AF_INET, 1), mask, &refused);
    }
    let status = |w: &mut Writer<'_>| w.put(CTA_STATUS, &4_u32);
    let compared_since_5_15 = [(first, REMOVED), ((5, 15), LEFT)];
    flushed(&flow, (0, 1), status, &compared_since_5_15);
    let no_status = |w: &mut Writer<'_>| w.put(CTA_STATUS, &0_u32);
    let refused = [(first, REMOVED), ((5, 15), Err(EINVAL))];
    flushed(&flow, (0, 1), no_status, &refused);
    let zone = |w: &mut Writer<'_>| w.put(CTA_ZONE, &5_u16);
    flushed(&flow, (0, 1), zone, &[(first, REMOVED), ((6, 8), LEFT)]);
    // Attributes that belong to a key, without a tuple.
    let id = |w: &mut Writer<'_>| w.put(CTA_ID, &7_u32);
    flushed(&flow, (0, 1), id, &[(first, REMOVED)]);
}

#[test]
fn of_a_flush_with_a_filter() {
    let flow = tcp();
    let first = (0, 0);
    let since_5_8 = ((5, 8), Err(EOPNOTSUPP));
    let guarded_zone = |w: &mut Writer<'_>| {
        w.put(CTA_ZONE, &5_u16);
        guard(w);
    };
    let outcomes = [(first, REMOVED), since_5_8, ((6, 11), LEFT)];
    flushed(&flow, (0, 1), guarded_zone, &outcomes);
    // The family is compared, whatever the version is.
    flushed(&flow, (AF_INET6, 0), guard, &outcomes);
    let none = [(first, REMOVED), since_5_8, ((6, 11), REMOVED)];
    flushed(&flow, (0, 1), guard, &none);
    // With an IPv6 address, the flow that has it stays, except in kernels with the fix. A part of a
    // tuple is not a tuple.
    let outcomes = |unfixed, fixed| {
        [
            (first, Err(EINVAL)),
            ((6, 11), unfixed),
            ((6, 12), fixed),
            ((6, 14), unfixed),
            ((7, 3), fixed),
        ]
    };
    let partial = outcomes(LEFT, REMOVED);
    flushed(&udp6(), (AF_INET6, 1), source_is_fd00_1, &partial);
    let mut other = udp6();
    other.orig = other.orig.inverse();
    let partial = outcomes(REMOVED, LEFT);
    flushed(&other, (AF_INET6, 1), source_is_fd00_1, &partial);
}

#[test]
fn of_a_delete() {
    let flow = Flow {
        id: Some(FlowId::from(7)),
        mark: Some(1),
        ..tcp()
    };
    let first = (0, 0);
    let gone = [(first, Err(ENOENT))];
    let itself = |w: &mut Writer<'_>| write_tuple(w, &flow.orig);
    // The mark is ignored, and the tuple may be of the other direction.
    let marked = |w: &mut Writer<'_>| {
        itself(w);
        w.put(CTA_MARK, &9_u32);
        w.put(CTA_MARK_MASK, &u32::MAX);
    };
    flushed(&flow, (AF_INET, 0), marked, &[(first, REMOVED)]);
    let reversed = |w: &mut Writer<'_>| write_tuple(w, &flow.reply);
    flushed(&flow, (AF_INET, 0), reversed, &[(first, REMOVED)]);
    let successor = |w: &mut Writer<'_>| {
        itself(w);
        w.put(CTA_ID, &8_u32);
    };
    flushed(&flow, (AF_INET, 0), successor, &gone);
    let zoned = |w: &mut Writer<'_>| {
        itself(w);
        w.put(CTA_ZONE, &5_u16);
    };
    flushed(&flow, (AF_INET, 0), zoned, &gone);
    let of_no_family = [(first, Err(EOPNOTSUPP))];
    flushed(&flow, (0, 0), itself, &of_no_family);
    // With a filter, everything is flushed.
    let filtered = |w: &mut Writer<'_>| {
        successor(w);
        guard(w);
    };
    let widened = [(first, Err(ENOENT)), ((6, 11), REMOVED)];
    flushed(&flow, (AF_INET, 0), filtered, &widened);
}

/// Kernels that are built without marks ignore them; without zones, refuse them.
#[test]
fn of_what_is_not_built() {
    let delete = |fill: fn(&mut Writer<'_>)| {
        let request = Request::new(IPCTNL_MSG_CT_DELETE, 0, 0).version(1);
        request.with(fill).finish(1)
    };
    let mark = delete(|w| {
        w.put(CTA_MARK, &5_u32);
        w.put(CTA_MARK_MASK, &u32::MAX);
    });
    let zone = delete(|w| w.put(CTA_ZONE, &5_u16));
    for kernel in Kernel::all() {
        let expected = if kernel.marks { LEFT } else { REMOVED };
        assert_eq!(kernel.removes(&mark, &tcp()), expected, "{kernel:?}");
        if !kernel.zones {
            let refused = kernel.removes(&zone, &tcp());
            assert_eq!(refused, Err(EOPNOTSUPP), "{kernel:?}");
        }
    }
}

#[test]
fn of_default_timeouts_without_a_family() {
    for release in RELEASES {
        let kernel = testing::Kernel::release(&format!("{}.{}", release.0, release.1));
        let socket = FakeSocket::open(&kernel.unwrap().build());
        let request = Request::new(IPCTNL_MSG_TIMEOUT_DEFAULT_SET, NLM_F_ACK, AF_UNSPEC);
        let request = request.with(|w| {
            w.put(CTA_TIMEOUT_L4PROTO, &IPPROTO_UDP);
            w.nest(CTA_TIMEOUT_DATA, |w| w.put(1, &90_u32));
        });
        socket.send(&request.finish(1)).unwrap();
        let errno = if release < (6, 6) { EINVAL } else { 0 };
        assert_eq!(
            drain(&socket),
            [(1, NLMSG_ERROR, Some(errno))],
            "{release:?}"
        );
    }
}
