//! Compiles a [`Filter`] to a socket filter, so that the kernel queues only events that match.
//!
//! It may pass events that do not match, because every event is compared again. It never drops an
//! event that matches. Below a `not`, the opposite is needed: a test that is true only for events
//! that match. So each filter is compiled in one of two [`Sense`]s.

use std::net::IpAddr;

use ipnet::IpNet;

use super::conditions::{Conditions, Ends, ROWS};
use super::{Filter, KernelFilter, Ports};
use crate::flow::{Bits, Family, Masked, Protocol, Status};
use crate::wire::bpf::{Instruction, Part, Test, Value};
use crate::wire::uapi::*;

/// A program and the conditions that it compares.
#[derive(Debug)]
pub(crate) struct SocketFilter {
    pub(crate) program: Vec<Instruction>,
    pub(crate) conditions: KernelFilter,
}

/// The direction in which a test may err.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sense {
    /// True for all that matches.
    May,
    /// False for all that does not match.
    Must,
}

impl SocketFilter {
    /// Compiles the part of the filter that fits into this number of instructions. `None` if no
    /// part fits.
    pub(crate) fn within(filter: &Filter, most: usize) -> Option<Self> {
        let mut whole = Test::Always;
        let mut fits = None;
        for (condition, test) in conditions(&filter.0, Sense::May) {
            let Some(test) = test.filter(|test| *test != Test::Always) else {
                continue;
            };
            let longer = Test::all([whole.clone(), test]);
            if let Some(program) = longer.program(most) {
                whole = longer;
                let (_, before) = fits.unwrap_or_default();
                fits = Some((program, before | condition));
            }
        }
        fits.map(|(program, conditions)| Self {
            program,
            conditions,
        })
    }
}

impl Sense {
    fn contrary(self) -> Self {
        match self {
            Self::May => Self::Must,
            Self::Must => Self::May,
        }
    }
}

/// The test of a whole filter.
fn test(filter: &Filter, sense: Sense) -> Test {
    let tests = conditions(&filter.0, sense).into_iter();
    Test::all(tests.map(|(_, test)| {
        test.unwrap_or(match sense {
            Sense::May => Test::Always,
            Sense::Must => Test::Never,
        })
    }))
}

/// The conditions of a filter, the cheapest first. A condition that the program cannot compare has
/// no test.
fn conditions(all: &Conditions, sense: Sense) -> Vec<(KernelFilter, Option<Test>)> {
    let mut found = Vec::new();
    let mut add = |condition, test| found.push((condition, test));
    if let Some(family) = all.family {
        add(KernelFilter::FAMILY, Some(Test::Family(family.number())));
    }
    if let Some(mark) = all.mark {
        add(KernelFilter::MARK, Some(number(CTA_MARK, true, mark)));
    }
    if let Some(status) = all.status {
        let status = Masked::new(status.value().bits(), status.mask().bits());
        add(
            KernelFilter::STATUS,
            Some(number(CTA_STATUS, false, status)),
        );
    }
    if all.any_nat {
        add(KernelFilter::STATUS, Some(any_nat()));
    }
    if let Some(zone) = all.zone {
        add(KernelFilter::ZONE, Some(in_zone(zone)));
    }
    if let Some(protocol) = all.protocol {
        let path = [CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, CTA_PROTO_NUM];
        let part = Part::exactly(0, BPF_B, protocol.number().into());
        add(KernelFilter::PROTOCOL, Some(at(&path, part)));
    }
    let [orig, reply] = all.ends();
    ends(&orig, CTA_TUPLE_ORIG, ORIG, &mut add);
    ends(&reply, CTA_TUPLE_REPLY, REPLY, &mut add);
    icmp(all, &mut add);
    for filters in &all.any_of {
        let one = Test::any(filters.iter().map(|filter| test(filter, sense)));
        add(KernelFilter::ANY_OF, Some(one));
    }
    for filter in &all.not {
        let not = test(filter, sense.contrary()).contrary();
        add(KernelFilter::NOT, Some(not));
    }
    if ROWS
        .iter()
        .any(|row| row.bit.is_none() && (row.is_asked)(all))
    {
        add(KernelFilter::empty(), None);
    }
    found
}

/// The conditions on a tuple: source and destination, and their ports.
const ORIG: [KernelFilter; 4] = [
    KernelFilter::ORIG_SRC,
    KernelFilter::ORIG_DST,
    KernelFilter::ORIG_SRC_PORT,
    KernelFilter::ORIG_DST_PORT,
];
const REPLY: [KernelFilter; 4] = [
    KernelFilter::REPLY_SRC,
    KernelFilter::REPLY_DST,
    KernelFilter::REPLY_SRC_PORT,
    KernelFilter::REPLY_DST_PORT,
];

fn ends(
    ends: &Ends<'_>,
    tuple: u16,
    [src, dst, src_port, dst_port]: [KernelFilter; 4],
    add: &mut impl FnMut(KernelFilter, Option<Test>),
) {
    let addresses = [
        (src, ends.src, [CTA_IP_V4_SRC, CTA_IP_V6_SRC]),
        (dst, ends.dst, [CTA_IP_V4_DST, CTA_IP_V6_DST]),
    ];
    for (condition, nets, kinds) in addresses {
        if let Some(nets) = nets {
            let tests = nets.iter().map(|net| within(net, tuple, kinds));
            add(condition, Some(Test::any(tests)));
        }
    }
    let ports = [
        (src_port, ends.src_port, CTA_PROTO_SRC_PORT),
        (dst_port, ends.dst_port, CTA_PROTO_DST_PORT),
    ];
    for (condition, ports, kind) in ports {
        if let Some(ports) = ports {
            add(
                condition,
                Some(of_ports(ports, &[tuple, CTA_TUPLE_PROTO, kind])),
            );
        }
    }
}

fn icmp(all: &Conditions, add: &mut impl FnMut(KernelFilter, Option<Test>)) {
    let kinds = match all.protocol {
        Some(Protocol::ICMPV6) => [
            CTA_PROTO_ICMPV6_TYPE,
            CTA_PROTO_ICMPV6_CODE,
            CTA_PROTO_ICMPV6_ID,
        ],
        _ => [CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_CODE, CTA_PROTO_ICMP_ID],
    };
    let fields = [
        (KernelFilter::ICMP_TYPE, all.icmp_type.map(u16::from), BPF_B),
        (KernelFilter::ICMP_CODE, all.icmp_code.map(u16::from), BPF_B),
        (KernelFilter::ICMP_ID, all.icmp_id, BPF_H),
    ];
    for ((condition, field, size), kind) in fields.into_iter().zip(kinds) {
        if let Some(field) = field {
            let part = Part::exactly(0, size, field.into());
            add(
                condition,
                Some(at(&[CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, kind], part)),
            );
        }
    }
}

/// The number in an attribute that every event of such a flow has.
fn at(path: &[u16], part: Part) -> Test {
    Test::Value(Value {
        paths: vec![path.to_vec()],
        or_zero: false,
        parts: vec![part],
    })
}

fn number(kind: u16, or_zero: bool, bits: Masked<u32>) -> Test {
    Test::Value(Value {
        paths: vec![vec![kind]],
        or_zero,
        parts: vec![Part::masked(0, BPF_W, bits.value(), bits.mask())],
    })
}

fn any_nat() -> Test {
    let both = Status::SRC_NAT.or(Status::DST_NAT).bits();
    let part = Part {
        first: 1,
        last: u32::MAX,
        ..Part::masked(0, BPF_W, 0, both)
    };
    at(&[CTA_STATUS], part)
}

/// A zone of both directions is at the top level. The zone of one direction is inside its tuple.
/// Zone 0 is not sent.
fn in_zone(id: u16) -> Test {
    Test::Value(Value {
        paths: vec![
            vec![CTA_ZONE],
            vec![CTA_TUPLE_ORIG, CTA_TUPLE_ZONE],
            vec![CTA_TUPLE_REPLY, CTA_TUPLE_ZONE],
        ],
        or_zero: true,
        parts: vec![Part::exactly(0, BPF_H, id.into())],
    })
}

/// The two families have different attributes for addresses, so the family is compared first.
fn within(net: IpNet, tuple: u16, [v4, v6]: [u16; 2]) -> Test {
    let (family, kind, words) = match (net.network(), net.netmask()) {
        (IpAddr::V4(address), mask) => (
            Family::Ipv4,
            v4,
            vec![(address.to_bits(), words_of(mask)[0])],
        ),
        (IpAddr::V6(_), mask) => (
            Family::Ipv6,
            v6,
            words_of(net.network())
                .into_iter()
                .zip(words_of(mask))
                .collect(),
        ),
    };
    let parts: Vec<Part> = words
        .into_iter()
        .zip((0..).step_by(4))
        .filter(|((_, mask), _)| *mask != 0)
        .map(|((value, mask), at)| Part::masked(at, BPF_W, value, mask))
        .collect();
    let address = match parts.is_empty() {
        true => Test::Always,
        false => Test::Value(Value {
            paths: vec![vec![tuple, CTA_TUPLE_IP, kind]],
            or_zero: false,
            parts,
        }),
    };
    Test::all([Test::Family(family.number()), address])
}

/// The 32-bit words of an address, in its order.
fn words_of(address: IpAddr) -> Vec<u32> {
    match address {
        IpAddr::V4(address) => vec![address.to_bits()],
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            [96, 64, 32, 0].map(|shift| (bits >> shift) as u32).to_vec()
        }
    }
}

fn of_ports(ports: Ports, path: &[u16]) -> Test {
    let part = Part {
        first: ports.first().into(),
        last: ports.last().into(),
        ..Part::masked(0, BPF_H, 0, u32::MAX)
    };
    at(path, part)
}

#[cfg(test)]
mod tests;
