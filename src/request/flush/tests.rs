//! Which flush request is sent to which kernel.

mod kernels;

use super::*;
use crate::ErrorKind;
use crate::filter::{FilterBuilder, NatKind};
use crate::flow::{Labels, Masked, Status, TcpState};

const RELEASES: [Release; 9] = [
    Release(4, 19),
    Release(5, 4),
    Release(5, 10),
    Release(5, 15),
    Release(6, 1),
    Release(6, 6),
    Release(6, 8),
    Release(6, 12),
    Release(6, 18),
];

fn flush() -> Flush {
    Flush::new(Arc::new(Lanes::unconnected()), Table::Conntrack)
}

fn filter(filter: FilterBuilder) -> Filter {
    filter.build().unwrap()
}

fn at_once(flush: &Flush) -> [bool; 9] {
    RELEASES.map(|release| !matches!(flush.plan(release).unwrap(), Plan::OneByOne))
}

#[test]
fn of_one_family_never_where_both_would_go() {
    for old in [Release(0, 0), Release(4, 19), Release(5, 2)] {
        let plan = flush().family(Family::Ipv4).plan(old).unwrap();
        assert!(matches!(plan, Plan::OneByOne), "{plan:?}");
        assert!(matches!(flush().plan(old).unwrap(), Plan::Flush(_)));
    }
    let plan = flush().family(Family::Ipv4).plan(Release(5, 3)).unwrap();
    assert!(matches!(plan, Plan::Flush(_)), "{plan:?}");
}

#[test]
fn by_a_filter_where_the_kernel_compares_all_of_it() {
    let since_6_12 = RELEASES.map(|release| release >= Release(6, 12));
    let status = Masked::new(Status::ASSURED, Status::ASSURED);
    let all = || Filter::builder().mark(1).status(status).zone(5);
    for filter in [
        filter(Filter::builder().mark(Masked::new(1, 1))),
        filter(Filter::builder().status(status)),
        filter(Filter::builder().nat(NatKind::None)),
        filter(Filter::builder().zone(0)),
        filter(Filter::builder().family(Family::Ipv6)),
        filter(all().family(Family::Ipv6)),
    ] {
        assert_eq!(
            at_once(&flush().filter(filter.clone())),
            since_6_12,
            "{filter:?}"
        );
        let six = flush().filter(filter).family(Family::Ipv6);
        assert_eq!(at_once(&six), since_6_12, "{six:?}");
    }
}

#[test]
fn one_by_one_for_what_no_kernel_compares_in_a_flush() {
    let net = |text: &str| text.parse::<ipnet::IpNet>().unwrap();
    let base = || Filter::builder().mark(1).zone(5).family(Family::Ipv4);
    let other = || filter(Filter::builder().mark(7));
    for filter in [
        base().protocol(6),
        base().protocol(6).orig_dst_port(443),
        base().orig_src(net("10.0.0.1/32")),
        base().reply_dst(net("10.0.0.0/8")),
        base().protocol(1).icmp_type(8),
        base().orig_zone(5),
        base().reply_zone(0),
        base().labels(Labels::ALL.into()),
        base().tcp_state(TcpState::CLOSE),
        base().nat(NatKind::Any),
        base().has_helper(),
        base().helper("ftp"),
        base().has_master(),
        base().sctp_state(crate::flow::SctpState::CLOSED),
        base().any_of([other()]),
        base().not(other()),
    ] {
        let filter = filter.build().unwrap();
        assert_eq!(
            at_once(&flush().filter(filter.clone())),
            [false; 9],
            "{filter:?}"
        );
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let six = filter(Filter::builder().family(Family::Ipv6));
    for flush in [
        Flush {
            table: Table::Dying,
            ..flush()
        },
        Flush {
            table: Table::Unconfirmed,
            ..flush()
        },
        flush().filter(Filter::default()),
        flush().filter(Filter::default()).family(Family::Ipv4),
        flush().filter(six).family(Family::Ipv4),
    ] {
        for release in RELEASES {
            let refused = flush.plan(release).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{flush:?}");
        }
    }
    let refused = flush()
        .filter(Filter::default())
        .plan(Release(6, 18))
        .unwrap_err();
    assert!(
        refused.to_string().contains("flush(Table::Conntrack)"),
        "{refused}"
    );
}

#[test]
fn a_mark_is_compared_where_the_kernel_has_marks() {
    for (filter, asked) in [
        (filter(Filter::builder().mark(1)), true),
        (filter(Filter::builder().zone(1)), false),
    ] {
        match flush().filter(filter).plan(Release(6, 18)).unwrap() {
            Plan::Try { marks, .. } => assert_eq!(marks, asked),
            plan => panic!("{plan:?}"),
        }
    }
}

#[cfg(target_endian = "little")]
mod golden {
    use super::*;
    use crate::wire::golden::assert_bytes;

    fn bytes(flush: Flush) -> Vec<u8> {
        match flush.plan(Release(6, 18)).unwrap() {
            Plan::Flush(request) | Plan::Try { request, .. } => request.finish(SEQ),
            Plan::OneByOne => panic!("it is no flush"),
        }
    }

    /// No attributes, and version 1: with version 0 either request would remove both families.
    #[test]
    fn of_both_families_and_of_each() {
        for (flush, golden) in [
            (flush(), "14000000 0201 0500 01000000 00000000  00 01 0000"),
            (
                flush().family(Family::Ipv4),
                "14000000 0201 0500 01000000 00000000  02 01 0000",
            ),
            (
                flush().family(Family::Ipv6),
                "14000000 0201 0500 01000000 00000000  0a 01 0000",
            ),
        ] {
            assert_bytes(&bytes(flush), golden);
        }
    }

    /// Every filter comes with an empty CTA_FILTER as a guard.
    #[test]
    fn of_what_matches() {
        let zone = filter(Filter::builder().zone(5));
        assert_bytes(
            &bytes(flush().filter(zone)),
            "20000000 0201 0500 01000000 00000000  00 01 0000  0600 1200 0005 0000  0400 1980",
        );
        let all = Filter::builder()
            .family(Family::Ipv6)
            .mark(Masked::new(1, 3))
            .nat(NatKind::None)
            .zone(0);
        assert_bytes(
            &bytes(flush().filter(filter(all))),
            "40000000 0201 0500 01000000 00000000  0a 01 0000
             0800 0800 00000001  0800 1500 00000003
             0800 0300 00000000  0800 1a00 00000030
             0600 1200 0000 0000
             0400 1980",
        );
        let family = filter(Filter::builder().family(Family::Ipv4));
        assert_bytes(
            &bytes(flush().filter(family)),
            "18000000 0201 0500 01000000 00000000  02 01 0000  0400 1980",
        );
    }

    #[test]
    fn the_question_whether_marks_are_compared() {
        assert_bytes(
            &probe_of_marks().finish(SEQ),
            "1c000000 0101 0503 01000000 00000000  02 00 0000  0800 1500 ffffffff",
        );
    }
}
