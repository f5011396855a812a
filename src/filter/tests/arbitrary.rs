//! Flows, and filters that they meet.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use proptest::prelude::*;

use crate::filter::{Filter, FilterBuilder, NatKind, PrefixSet};
use crate::flow::tests::arbitrary;
use crate::flow::{Bits, Family, Flow, Labels, Masked, ProtoInfo, Status, ZoneDirection};
use crate::wire::uapi::*;

/// A flow as a kernel can have it: one family, one protocol. It is boxed, because two of them do
/// not fit on a test's stack.
pub(crate) fn flow() -> BoxedStrategy<Flow> {
    let flow = arbitrary::flow().boxed();
    let flow = flow.prop_map(|mut flow| {
        let (orig, reply) = (flow.orig, flow.reply);
        if (orig.family(), orig.protocol()) != (reply.family(), reply.protocol()) {
            flow.reply = orig.inverse();
        }
        flow
    });
    flow.boxed()
}

/// The flow with one change, in an attribute that a flush can compare.
pub(crate) fn neighbours(flow: &Flow, bit: u32) -> [Flow; 3] {
    let changed = |change: &dyn Fn(&mut Flow)| {
        let mut other = flow.clone();
        change(&mut other);
        other
    };
    let bit = 1_u32 << (bit % 32);
    [
        changed(&|flow| flow.mark = Some(flow.mark.unwrap_or(0) ^ bit)),
        changed(&|flow| flow.status ^= Status::from_bits_retain(bit)),
        changed(&|flow| flow.zone = (flow.zone.id() ^ (bit as u16).max(1)).into()),
    ]
}

/// The value in the bits of the mask.
pub(super) fn under<T: Bits>(value: T, mask: T) -> Masked<T> {
    Masked::new(value.and(mask), mask)
}

/// Makes choices by the bits of a number.
struct Chosen(u32);

impl Chosen {
    fn next(&mut self) -> bool {
        let bit = self.0 & 1 == 1;
        self.0 >>= 1;
        bit
    }
}

/// Conditions that the flow meets, chosen by the bits of `which` from all that a filter can have.
pub(crate) fn met_by(flow: &Flow, which: u32, mask: u32) -> FilterBuilder {
    let mut chosen = Chosen(which);
    let filter = whole(Filter::builder(), flow, &mut chosen, mask);
    let filter = rest(filter, flow, &mut chosen, mask);
    tuples(filter, flow, &mut chosen, mask)
}

/// Like [`met_by`], but only kinds that some kernel compares in a flush.
pub(crate) fn flushed_by(flow: &Flow, which: u32, mask: u32) -> FilterBuilder {
    whole(Filter::builder(), flow, &mut Chosen(which), mask)
}

fn whole(mut filter: FilterBuilder, flow: &Flow, chosen: &mut Chosen, mask: u32) -> FilterBuilder {
    if chosen.next() {
        filter = filter.family(flow.family());
    }
    if chosen.next() {
        filter = filter.zone(flow.zone.id());
    }
    if chosen.next() {
        filter = filter.mark(under(flow.mark.unwrap_or(0), mask | 1));
    }
    if chosen.next() {
        let mask = flow.status ^ Status::from_bits_retain(mask | 1);
        filter = filter.status(under(flow.status, mask | Status::CONFIRMED));
    }
    filter
}

/// Conditions that no kernel compares.
fn rest(mut filter: FilterBuilder, flow: &Flow, chosen: &mut Chosen, mask: u32) -> FilterBuilder {
    if let Some(info) = flow.protoinfo.as_ref().filter(|_| chosen.next()) {
        filter = match (info, flow.orig.protocol().number()) {
            (ProtoInfo::Tcp(info), IPPROTO_TCP) => filter.tcp_state(info.state),
            (ProtoInfo::Sctp(info), IPPROTO_SCTP) => filter.sctp_state(info.state),
            (ProtoInfo::Dccp(info), IPPROTO_DCCP) => filter.dccp_state(info.state),
            _ => filter,
        };
    }
    if chosen.next() {
        let labels = Masked::new(flow.labels.unwrap_or_default(), Labels::ALL);
        filter = filter.labels(labels);
    }
    if chosen.next() && NatKind::is_any(flow.status) {
        filter = filter.nat(NatKind::Any);
    }
    if chosen.next() && flow.helper().is_some() {
        filter = filter.has_helper();
    }
    if let Some(helper) = flow.helper().filter(|helper| !helper.name.is_empty()) {
        if chosen.next() {
            filter = filter.helper(helper.name.clone());
        }
    }
    if let Some(master) = flow.master().filter(|it| it.family() == flow.family()) {
        if chosen.next() {
            filter = filter.has_master().master(*master);
        }
    }
    if chosen.next() {
        let id = match flow.zone.direction() {
            ZoneDirection::Reply => 0,
            _ => flow.zone.id(),
        };
        filter = filter.orig_zone(id);
    }
    if chosen.next() {
        let others = match flow.family() {
            Family::Ipv4 => Family::Ipv6,
            Family::Ipv6 => Family::Ipv4,
        };
        let others = Filter::builder().family(others).build();
        filter = filter.not(others.expect("a filter"));
    }
    if chosen.next() {
        let same = Filter::builder().protocol(flow.orig.protocol());
        let another = Filter::builder().mark(!flow.mark.unwrap_or(0) ^ (mask >> 1));
        let either = [same, another].map(|filter| filter.build().expect("a filter"));
        filter = filter.any_of(either);
    }
    filter
}

/// The prefix alone, or with others of both families.
fn set_with(net: IpNet, mask: u32) -> PrefixSet {
    if mask & 0x100 == 0 {
        return net.into();
    }
    let others = [
        IpAddr::from(mask.to_be_bytes()),
        IpAddr::from((u128::from(mask) << 96).to_be_bytes()),
    ];
    let others = others.map(IpNet::from);
    [others[0], net, others[1]].into_iter().collect()
}

fn tuples(mut filter: FilterBuilder, flow: &Flow, chosen: &mut Chosen, mask: u32) -> FilterBuilder {
    let (orig, reply) = (&flow.orig, &flow.reply);
    type Address = fn(FilterBuilder, PrefixSet) -> FilterBuilder;
    let addresses: [(IpAddr, Address); 4] = [
        (orig.src(), FilterBuilder::orig_src),
        (orig.dst(), FilterBuilder::orig_dst),
        (reply.src(), FilterBuilder::reply_src),
        (reply.dst(), FilterBuilder::reply_dst),
    ];
    for (address, add) in addresses {
        let (there, whole) = (chosen.next(), chosen.next());
        let net = IpNet::from(address);
        let bits = if whole {
            net.prefix_len()
        } else {
            mask as u8 % 32
        };
        if there {
            let net = IpNet::new(address, bits).unwrap().trunc();
            filter = add(filter, set_with(net, mask));
        }
    }
    if !chosen.next() {
        return filter;
    }
    filter = filter.protocol(orig.protocol());
    type Port = fn(FilterBuilder, RangeInclusive<u16>) -> FilterBuilder;
    let ports: [(Option<u16>, Port); 4] = [
        (orig.src_port(), FilterBuilder::orig_src_port),
        (orig.dst_port(), FilterBuilder::orig_dst_port),
        (reply.src_port(), FilterBuilder::reply_src_port),
        (reply.dst_port(), FilterBuilder::reply_dst_port),
    ];
    for (port, add) in ports {
        let (there, single) = (chosen.next(), chosen.next());
        if let Some(port) = port.filter(|_| there) {
            let last = port.saturating_add(if single { 0 } else { mask as u16 });
            filter = add(filter, port..=last);
        }
    }
    let own = [(Family::Ipv4, IPPROTO_ICMP), (Family::Ipv6, IPPROTO_ICMPV6)];
    let echo = orig
        .icmp_echo()
        .filter(|_| own.contains(&(flow.family(), orig.protocol().number())));
    if let Some(echo) = echo.filter(|_| chosen.next()) {
        filter = filter
            .icmp_type(echo.kind())
            .icmp_code(echo.code())
            .icmp_id(echo.id());
    }
    filter
}
