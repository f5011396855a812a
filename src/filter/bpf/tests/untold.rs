//! Conditions that no program compares, and sets, of which a program compares each prefix.

use std::net::SocketAddr;

use super::*;
use crate::flow::{DccpInfo, DccpState, Helper, ProtoInfo, SctpInfo, SctpState};

/// A condition that no program compares never drops an event that meets it. In a `not`, it never
/// drops an event that does not meet it.
#[test]
fn each_condition_that_cannot_be_told_passes() {
    let ends = || {
        (
            "10.1.2.3:4000".parse().unwrap(),
            "10.2.0.1:53".parse().unwrap(),
        )
    };
    let tuple = |make: fn(SocketAddr, SocketAddr) -> crate::Result<Tuple>| {
        let (src, dst) = ends();
        make(src, dst).unwrap()
    };
    let (udp, sctp, dccp) = (tuple(Tuple::udp), tuple(Tuple::sctp), tuple(Tuple::dccp));
    let with = |orig: Tuple, change: &dyn Fn(&mut Flow)| {
        let mut flow = Flow::new(orig, orig.inverse());
        change(&mut flow);
        flow
    };
    let helped = with(udp, &|flow| flow.set_helper(Some(Helper::new("ftp"))));
    let expected = with(udp, &|flow| flow.set_master(Some(udp)));
    let closed = with(sctp, &|flow| {
        flow.protoinfo = Some(ProtoInfo::from(SctpInfo {
            state: SctpState::CLOSED,
            vtag_orig: None,
            vtag_reply: None,
        }));
    });
    let open = with(dccp, &|flow| {
        flow.protoinfo = Some(ProtoInfo::from(DccpInfo {
            state: DccpState::OPEN,
            role: None,
            handshake_seq: None,
        }));
    });
    let zoned = with(udp, &|flow| flow.zone = Zone::orig(5));
    let any = Filter::builder;
    for (condition, meets) in [
        (any().has_helper(), &helped),
        (any().helper("ftp"), &helped),
        (any().has_master(), &expected),
        (any().master(udp), &expected),
        (any().sctp_state(SctpState::CLOSED), &closed),
        (any().dccp_state(DccpState::OPEN), &open),
        (any().orig_zone(5), &zoned),
        (any().reply_zone(0), &zoned),
    ] {
        let mut lacks = Flow::new(meets.orig, meets.reply);
        lacks.zone = Zone::reply(7);
        let condition = built(condition);
        let denied = built(any().not(condition.clone()));
        assert!(condition.matches(meets) && denied.matches(&lacks));
        // Together with a condition that it compares.
        let marked = built(any().mark(1));
        let either = built(any().any_of([marked.clone(), condition.clone()]));
        let neither = built(any().not(condition.clone()).not(marked));
        for (filter, flow) in [
            (&condition, meets),
            (&either, meets),
            (&denied, &lacks),
            (&neither, &lacks),
        ] {
            assert!(filter.matches(flow), "{filter:?}");
            if let Some(compiled) = whole(filter) {
                let passes = Sieve::new(&compiled.program).passes(&without_zeros(flow));
                assert!(passes, "{filter:?} drops {flow:?}");
            }
        }
        assert!(whole(&denied).is_none(), "{denied:?}");
    }
}

/// A set of prefixes of both families. An address in one of them passes; in a `not`, an address in
/// none of them.
#[test]
fn sets_of_prefixes_are_compared() {
    let set: crate::PrefixSet = ["10.1.0.0/16", "10.9.0.0/16", "fd00:1::/32"]
        .map(net)
        .into_iter()
        .collect();
    let within = built(Filter::builder().orig_src(set));
    let without = built(Filter::builder().not(within.clone()));
    let inside = [
        udp("10.1.2.3:1", "10.2.0.1:2"),
        udp("10.9.255.255:1", "10.2.0.1:2"),
        udp("[fd00:1::9]:1", "[fd00::1]:2"),
    ];
    let outside = [
        udp("10.2.2.3:1", "10.2.0.1:2"),
        udp("[fd00:2::9]:1", "[fd00::1]:2"),
    ];
    for (filter, passing, dropped) in [
        (&within, &inside[..], &outside[..]),
        (&without, &outside[..], &inside[..]),
    ] {
        let sieve = Sieve::new(&compiled(filter).program);
        for flow in passing {
            assert!(sieve.passes(&message(flow)), "{filter:?} drops {flow:?}");
        }
        for flow in dropped {
            assert!(!sieve.passes(&message(flow)), "{filter:?}: {flow:?}");
        }
    }
}
