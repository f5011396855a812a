//! No kernel withholds a flow that matches: pushed-down result ⊇ matches.

use proptest::prelude::*;

use super::super::kernel::{Capabilities, KernelFilter, Pushed};
use super::model::hands_over;
use super::*;
use crate::flow::tests::arbitrary;
use crate::flow::{Family, Masked, ProtoInfo};
use crate::wire::message::Request;
use crate::wire::uapi::*;

const RELEASES: [(u16, u16); 11] = [
    (0, 0),
    (4, 19),
    (5, 4),
    (5, 8),
    (5, 10),
    (5, 15),
    (6, 1),
    (6, 6),
    (6, 8),
    (6, 12),
    (6, 18),
];

/// A flow as a kernel can have it: one family, one protocol. Boxed, for two of them at a time are
/// more than a test's stack holds.
fn flow() -> BoxedStrategy<Flow> {
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

/// Conditions, chosen by the bits of `which`, that the flow meets.
fn met_by(flow: &Flow, which: u32, mask: u32) -> FilterBuilder {
    let mut bits = (0..32).map(|n| which >> n & 1 == 1);
    let mut chosen = || bits.next().unwrap_or(false);
    let (orig, reply) = (&flow.orig, &flow.reply);
    let mut filter = Filter::builder();
    type Address = fn(FilterBuilder, IpNet) -> FilterBuilder;
    let addresses: [(std::net::IpAddr, Address); 4] = [
        (orig.src(), FilterBuilder::orig_src),
        (orig.dst(), FilterBuilder::orig_dst),
        (reply.src(), FilterBuilder::reply_src),
        (reply.dst(), FilterBuilder::reply_dst),
    ];
    for (address, add) in addresses {
        let (there, whole) = (chosen(), chosen());
        let net = IpNet::from(address);
        let bits = if whole {
            net.prefix_len()
        } else {
            mask as u8 % 32
        };
        if there {
            filter = add(filter, IpNet::new(address, bits).unwrap());
        }
    }
    type Port = fn(FilterBuilder, std::ops::RangeInclusive<u16>) -> FilterBuilder;
    let ports: [(Option<u16>, Port); 4] = [
        (orig.src_port(), FilterBuilder::orig_src_port),
        (orig.dst_port(), FilterBuilder::orig_dst_port),
        (reply.src_port(), FilterBuilder::reply_src_port),
        (reply.dst_port(), FilterBuilder::reply_dst_port),
    ];
    if chosen() {
        filter = filter.protocol(orig.protocol());
        for (port, add) in ports {
            let (there, single) = (chosen(), chosen());
            if let Some(port) = port.filter(|_| there) {
                let last = port.saturating_add(if single { 0 } else { mask as u16 });
                filter = add(filter, port..=last);
            }
        }
        let own = [(Family::Ipv4, IPPROTO_ICMP), (Family::Ipv6, IPPROTO_ICMPV6)];
        let echo = orig
            .icmp_echo()
            .filter(|_| own.contains(&(flow.family(), orig.protocol())));
        if let Some(echo) = echo.filter(|_| chosen()) {
            filter = filter
                .icmp_type(echo.kind())
                .icmp_code(echo.code())
                .icmp_id(echo.id());
        }
    }
    if chosen() {
        filter = filter.family(flow.family());
    }
    if chosen() {
        filter = filter.zone(flow.zone.id());
    }
    if chosen() {
        filter = filter.mark(Masked::new(flow.mark.unwrap_or(0), mask | 1));
    }
    if chosen() {
        let mask = flow.status ^ crate::flow::Status::from_bits_retain(mask | 1);
        filter = filter.status(Masked::new(
            flow.status,
            mask | crate::flow::Status::CONFIRMED,
        ));
    }
    if let Some(ProtoInfo::Tcp(info)) = flow.protoinfo.as_ref().filter(|_| chosen()) {
        if orig.protocol() == IPPROTO_TCP {
            filter = filter.tcp_state(info.state);
        }
    }
    filter
}

fn request(pushed: &Pushed, family: Option<Family>) -> Vec<u8> {
    let family = family.map_or(AF_UNSPEC, Family::number);
    Request::new(IPCTNL_MSG_CT_GET, NLM_F_DUMP, family)
        .with(|w| pushed.write(w))
        .finish(1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn of_matches(flow in flow(), other in flow(), which: u32, mask: u32) {
        let filter = met_by(&flow, which, mask).build();
        let filter = filter.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(filter.matches(&flow), "{:?}", filter);
        for release in RELEASES {
            let pushed = Pushed::new(&filter, filter.family(), Capabilities::of(release));
            let request = request(&pushed, filter.family());
            // Nothing is refused, and what matches is there.
            prop_assert_eq!(hands_over(release, &request, &flow), Ok(true), "{:?} {:?}", release, filter);
            // Any other flow may be there or not, but not one that matches.
            let is_there = hands_over(release, &request, &other) == Ok(true);
            prop_assert!(is_there || !filter.matches(&other));
        }
    }

    /// What is said to be the kernel's business it does: without it, the flow is there.
    #[test]
    fn what_is_pushed_is_compared(mut flow in flow(), mask: u32, which in 0usize..3) {
        let can = Capabilities::of((6, 18));
        let (filter, change): (_, fn(&mut Flow)) = match which {
            0 => (on(|b| b.mark(Masked::new(flow.mark.unwrap_or(0), mask | 1))),
                |flow| flow.mark = Some(flow.mark.unwrap_or(0) ^ 1)),
            1 => (on(|b| b.zone(flow.zone.id())),
                |flow| flow.zone = (flow.zone.id() ^ 1).into()),
            _ => (on(|b| b.status(flow.status)),
                |flow| flow.status ^= crate::flow::Status::ASSURED),
        };
        let pushed = Pushed::new(&filter, None, can);
        prop_assert_ne!(pushed.conditions(), KernelFilter::empty());
        change(&mut flow);
        prop_assert_eq!(hands_over((6, 18), &request(&pushed, None), &flow), Ok(false));
    }
}
