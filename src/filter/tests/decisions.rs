//! The conditions that are sent to each kernel: the rules as a table.

use super::super::kernel::{Capabilities, KernelFilter, RequestFilter};
use super::*;
use crate::flow::{Family, Labels, Masked, Status, TcpState};
use crate::wire::uapi::{EINVAL, EOPNOTSUPP, EPERM};

const RELEASES: [(u16, u16); 9] = [
    (4, 19),
    (5, 4),
    (5, 10),
    (5, 15),
    (6, 1),
    (6, 6),
    (6, 8),
    (6, 12),
    (6, 18),
];

/// The conditions that are sent on each of the releases.
fn on_each(filter: &Filter) -> [KernelFilter; 9] {
    RELEASES.map(|release| {
        RequestFilter::new(filter, filter.family(), Capabilities::of(release)).conditions()
    })
}

/// Checks that `what` is sent from the release `since` on, and nothing before.
#[track_caller]
fn pushed_since(since: (u16, u16), what: KernelFilter, filter: Filter) {
    // The family is sent to every kernel.
    let always = what & KernelFilter::FAMILY;
    let expected = RELEASES.map(|release| if release >= since { what } else { always });
    assert_eq!(on_each(&filter), expected, "{filter:?}");
}

const V4: KernelFilter = KernelFilter::FAMILY;
const TUPLES: (u16, u16) = (5, 8);

#[test]
fn mark_status_and_zone() {
    pushed_since(
        (0, 0),
        KernelFilter::MARK,
        on(|b| b.mark(Masked::new(1, 1))),
    );
    let status = Masked::new(Status::ASSURED, Status::ASSURED);
    pushed_since((5, 15), KernelFilter::STATUS, on(|b| b.status(status)));
    for kind in [NatKind::Source, NatKind::Destination, NatKind::None] {
        pushed_since((5, 15), KernelFilter::STATUS, on(|b| b.nat(kind)));
    }
    for filter in [
        on(|b| b.zone(0)),
        on(|b| b.zone(5)),
        on(|b| b.orig_zone(5)),
        on(|b| b.reply_zone(5)),
    ] {
        pushed_since((6, 8), KernelFilter::ZONE, filter);
    }
}

#[test]
fn tuples() {
    use KernelFilter as K;
    let tcp = || Filter::builder().family(Family::Ipv4).protocol(6);
    let tcp_and = |more| V4 | K::PROTOCOL | more;
    for (filter, what) in [
        (tcp(), tcp_and(K::empty())),
        (tcp().orig_src_port(1), tcp_and(K::ORIG_SRC_PORT)),
        (tcp().orig_dst_port(1..=1), tcp_and(K::ORIG_DST_PORT)),
        (tcp().reply_src_port(1), tcp_and(K::REPLY_SRC_PORT)),
        (tcp().reply_dst_port(1), tcp_and(K::REPLY_DST_PORT)),
        (
            Filter::builder().orig_src(net("10.0.0.1/32")),
            V4 | K::ORIG_SRC,
        ),
        (
            Filter::builder().orig_dst(net("10.0.0.1/32")),
            V4 | K::ORIG_DST,
        ),
        (
            Filter::builder().reply_src(net("10.0.0.1/32")),
            V4 | K::REPLY_SRC,
        ),
        (
            Filter::builder().reply_dst(net("10.0.0.1/32")),
            V4 | K::REPLY_DST,
        ),
        (
            Filter::builder().protocol(1).icmp_type(8),
            tcp_and(K::ICMP_TYPE),
        ),
        (
            Filter::builder().protocol(58).icmp_code(0),
            tcp_and(K::ICMP_CODE),
        ),
        (
            Filter::builder().protocol(58).icmp_id(9),
            tcp_and(K::ICMP_ID),
        ),
        (
            Filter::builder()
                .family(Family::Ipv6)
                .protocol(17)
                .orig_dst_port(53),
            tcp_and(K::ORIG_DST_PORT),
        ),
    ] {
        pushed_since(TUPLES, what, filter.build().unwrap());
    }
}

#[test]
fn what_stays_here() {
    let never = |what, filter| pushed_since((0, 0), what, filter);
    let v6 = |text| on(|b| b.orig_src(net(text)).reply_dst(net(text)));
    // The kernel would return all flows except those with the address.
    never(V4, v6("fd00::1/128"));
    never(V4, v6("fd00::/8"));
    never(V4, on(|b| b.orig_src(net("10.0.0.0/31"))));
    // Without a family the kernel refuses the request, and one family alone would be too few.
    never(
        KernelFilter::empty(),
        on(|b| b.protocol(6).orig_dst_port(443)),
    );
    never(KernelFilter::empty(), on(|b| b.labels(Labels::ALL.into())));
    never(KernelFilter::empty(), on(|b| b.nat(NatKind::Any)));
    never(KernelFilter::empty(), on(|b| b.has_helper()));
    never(KernelFilter::empty(), on(|b| b.orig_zone(0)));
    let web = || on(|b| b.family(Family::Ipv4).protocol(6).mark(1));
    never(KernelFilter::empty(), on(|b| b.not(web())));
    never(KernelFilter::empty(), on(|b| b.any_of([web()])));
    // The kernel ignores the ports of other protocols. For a range, it can still compare the
    // protocol.
    let protocol = V4 | KernelFilter::PROTOCOL;
    for other in [33, 47, 132, 136] {
        let filter = |b: FilterBuilder| {
            b.family(Family::Ipv4)
                .protocol(other)
                .orig_dst_port(1)
                .reply_src_port(1)
        };
        pushed_since(TUPLES, protocol, on(filter));
    }
    let range = |b: FilterBuilder| b.family(Family::Ipv4).protocol(6).orig_dst_port(1..=2);
    pushed_since(TUPLES, protocol, on(range));
    pushed_since(
        TUPLES,
        protocol,
        on(|b| b.family(Family::Ipv4).tcp_state(TcpState::CLOSE)),
    );
}

/// A kernel that was built without zones refuses them, and the request is sent again without.
#[test]
fn a_refusal_leaves_the_family() {
    let filter = on(|b| b.family(Family::Ipv4).zone(5).mark(1));
    let pushed = RequestFilter::new(&filter, filter.family(), Capabilities::of((6, 18)));
    assert_eq!(
        pushed.conditions(),
        V4 | KernelFilter::ZONE | KernelFilter::MARK
    );
    for errno in [EOPNOTSUPP, EINVAL] {
        let less = pushed.after_refusal(errno).unwrap();
        assert_eq!(less.conditions(), V4);
        assert_eq!(less.after_refusal(errno), None);
    }
    assert_eq!(pushed.after_refusal(EPERM), None);
}

/// The family of the list counts for the filter too.
#[test]
fn a_family_from_elsewhere() {
    let filter = on(|b| b.protocol(6));
    let can = Capabilities::of((6, 18));
    let pushed = RequestFilter::new(&filter, Some(Family::Ipv6), can).conditions();
    assert_eq!(pushed, V4 | KernelFilter::PROTOCOL);
}
