//! Bad input never reaches the kernel, and the error says which part of it is bad.

use std::net::IpAddr;
use std::time::Duration;

use ctnetlink::{
    ConntrackHandle, DccpInfo, DccpState, ErrorKind, IcmpEcho, Labels, Masked, Nat, NewFlow, Patch,
    ProtoInfo, SctpInfo, SctpState, Status, TcpInfo, TcpState, Tuple,
};
use futures::FutureExt;
use libtest_mimic::Trial;

use super::{HOUR, at, connect, create, got, new, refused, tcp, tcp6, tuples, udp, udp6, v4, v6};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["input":
        tuples_that_cannot_be,
        labels_that_cannot_be,
        flows_that_cannot_be_created,
        changes_that_cannot_be_made,
        what_is_refused_is_not_sent,
    ]
}

const INVALID: ErrorKind = ErrorKind::InvalidInput;

async fn tuples_that_cannot_be() {
    for (src, dst) in [(v4(1), v6(1)), (v6(1), v4(1))] {
        let (a, b) = (at(src, 1), at(dst, 2));
        for mixed in [
            Tuple::tcp(a, b),
            Tuple::udp(a, b),
            Tuple::udplite(a, b),
            Tuple::sctp(a, b),
            Tuple::dccp(a, b),
            Tuple::gre(src, dst, 0, 0),
            Tuple::generic(src, dst, 89),
        ] {
            let parts = ["source", "destination", "different families"];
            let error = refused(mixed, INVALID, &parts);
            assert_eq!(error.errno(), None);
        }
    }
    for (protocol, name) in [(6, "tcp"), (17, "udp")] {
        let tuple = Tuple::generic(v4(1), v4(2), protocol);
        refused(tuple, INVALID, &[&format!("protocol {name}"), "ports"]);
    }
    for (protocol, name) in [(1, "icmp"), (58, "icmpv6")] {
        let tuple = Tuple::generic(v4(1), v4(2), protocol);
        refused(tuple, INVALID, &[&format!("protocol {name}"), "type"]);
        let tuple = Tuple::new(protocol, at(v4(1), 0), at(v4(2), 0));
        refused(tuple, INVALID, &[&format!("protocol {name}"), "type"]);
    }
    let tuple = Tuple::new(50, at(v4(1), 4500), at(v4(2), 0));
    refused(tuple, INVALID, &["port", "esp"]);
    let (IpAddr::V4(a), IpAddr::V4(b), IpAddr::V6(c), IpAddr::V6(d)) = (v4(1), v4(2), v6(1), v6(2))
    else {
        unreachable!("two of each");
    };
    for kind in [3, 5, 11, 12, 128, 255] {
        let tuple = Tuple::icmp(a, b, IcmpEcho::new(kind, 0, 1));
        refused(tuple, INVALID, &[&format!("type {kind}"), "query"]);
    }
    for kind in [1, 2, 8, 134, 135] {
        let tuple = Tuple::icmpv6(c, d, IcmpEcho::new(kind, 0, 1));
        refused(tuple, INVALID, &[&format!("type {kind}"), "query"]);
    }
}

async fn labels_that_cannot_be() {
    assert!(Labels::bit(127).is_ok());
    for n in [128, 255] {
        refused(Labels::bit(n), INVALID, &[&format!("label {n}"), "127"]);
    }
}

/// More seconds than the attribute has room for.
const TOO_LONG: Duration = Duration::from_secs(1 << 32);

fn bad_flows() -> Vec<(NewFlow, &'static str)> {
    let generic = Tuple::generic(v4(1), v4(2), 89).expect("one family");
    let source = |nat| new(udp(1)).source_nat(nat);
    let destination = |nat| new(udp6(1)).destination_nat(nat);
    vec![
        (NewFlow::new(udp(1), TOO_LONG), "timeout"),
        (NewFlow::new(udp(1), Duration::MAX), "timeout"),
        (
            new(udp(1)).reply(udp6(1)),
            "reply: its family differs from the original tuple's",
        ),
        (
            new(udp(1)).reply(tcp(1)),
            "reply: its protocol differs from the original tuple's",
        ),
        (new(udp(1)).master(tcp6(1)), "master"),
        (source(Nat::to(v6(9))), "source NAT"),
        (source(Nat::to_any(v4(8)..=v6(9))), "source NAT"),
        (
            source(Nat::to_any(v4(9)..=v4(8))),
            "source NAT: the range is empty",
        ),
        (
            source(Nat::to(v4(9)).ports(reversed())),
            "source NAT: the range is empty",
        ),
        (destination(Nat::to(v4(9))), "destination NAT"),
        (
            destination(Nat::to_any(v6(9)..=v6(8))),
            "destination NAT: the range is empty",
        ),
        (
            destination(Nat::to(v6(9)).ports(reversed())),
            "destination NAT: the range is empty",
        ),
        (
            new(generic).source_nat(Nat::to(v4(9)).port(5)),
            "source NAT: a port",
        ),
        (
            source(Nat::to(v4(9))).reply(udp(2).inverse()),
            "reply: with NAT",
        ),
    ]
}

#[expect(clippy::reversed_empty_ranges, reason = "it is to be refused")]
fn reversed() -> std::ops::RangeInclusive<u16> {
    6..=5
}

/// Bad changes, each with the tuple of a flow.
fn bad_patches() -> Vec<(Tuple, Patch, &'static str)> {
    let patch = Patch::new;
    let scales = |orig, reply| {
        let mut info = TcpInfo::liberal(TcpState::ESTABLISHED);
        (info.wscale_orig, info.wscale_reply) = (orig, reply);
        info
    };
    let sctp = |orig, reply| {
        let mut info = SctpInfo::new(SctpState::CLOSED, 0, 0);
        (info.vtag_orig, info.vtag_reply) = (orig, reply);
        info
    };
    let mut dccp = DccpInfo::new(DccpState::OPEN, 0);
    dccp.role = None;
    let association = Tuple::sctp(at(v4(1), 1), at(v4(2), 2)).expect("one family");
    let mut patches = vec![
        (udp(1), patch().timeout(TOO_LONG), "timeout"),
        (udp(1), patch().timeout(Duration::MAX), "timeout"),
        (
            udp(1),
            patch().helper("a\0b"),
            "helper: its name contains a NUL",
        ),
        (udp(1), patch().helper("sixteen-letters-"), "helper: a name"),
        (
            udp(1),
            patch().tcp_state(TcpState::ESTABLISHED),
            "protoinfo: it is for TCP",
        ),
        (
            udp6(1),
            patch().protoinfo(sctp(Some(1), Some(2))),
            "protoinfo: it is for SCTP",
        ),
        (tcp(1), patch().protoinfo(dccp), "protoinfo: it is for DCCP"),
        (
            association,
            patch().tcp_state(TcpState::CLOSE),
            "protoinfo: it is for TCP",
        ),
        (
            association,
            patch().protoinfo(sctp(None, Some(2))),
            "protoinfo: SCTP",
        ),
        (
            association,
            patch().protoinfo(sctp(Some(1), None)),
            "protoinfo: SCTP",
        ),
        (
            tcp(1),
            patch().protoinfo(scales(Some(15), Some(7))),
            "scale is at most 14",
        ),
        (
            tcp6(1),
            patch().protoinfo(scales(Some(7), Some(255))),
            "scale is at most 14",
        ),
        (
            tcp(1),
            patch().protoinfo(scales(Some(7), None)),
            "in both directions",
        ),
        (
            tcp(1),
            patch().protoinfo(scales(None, Some(7))),
            "in both directions",
        ),
        (tcp(1), patch().protoinfo(ProtoInfo::Other), "protoinfo"),
    ];
    let newer = Status::from_bits_retain(1 << 20);
    for status in [
        Status::empty(),
        Status::EXPECTED,
        Status::SRC_NAT,
        Status::DST_NAT_DONE,
        Status::SEQ_ADJUST,
        Status::DYING,
        Status::TEMPLATE,
        Status::OFFLOAD,
        Status::ASSURED | Status::DYING,
        newer,
    ] {
        patches.push((tcp(1), patch().status(status), "status"));
    }
    patches
}

async fn flows_that_cannot_be_created() {
    let handle = connect();
    for (flow, part) in bad_flows() {
        refused(
            handle.create(flow).await,
            INVALID,
            &["creating a flow", part],
        );
    }
    assert_eq!(tuples(&handle).await, []);
}

async fn changes_that_cannot_be_made() {
    let handle = connect();
    let mut patches = bad_patches();
    let void = Patch::new().mark(Masked::new(1, 0));
    patches.push((udp(1), void, "mark: the mask is empty"));
    let void = Patch::new().labels(Masked::new(Labels::ALL, Labels::EMPTY));
    patches.push((udp(1), void, "labels: the mask is empty"));
    patches.push((udp(1), Patch::new(), "nothing to change"));
    for (tuple, patch, part) in patches {
        if handle.get(tuple).await.expect("an answer").is_none() {
            create(&handle, NewFlow::new(tuple, HOUR).mark(7)).await;
        }
        let before = got(&handle, tuple).await;
        // Together with a good change, which the kernel would make before the bad one.
        let update = handle.update(tuple).patch(patch).await;
        refused(update, INVALID, &["updating a flow", part]);
        let after = got(&handle, tuple).await;
        assert_eq!((after.status, after.mark), (before.status, before.mark));
        assert_eq!(after.protoinfo, before.protoinfo);
        assert!(after.timeout > Some(HOUR / 2));
    }
}

/// The connection is not polled, so a request that must be sent would wait forever.
async fn what_is_refused_is_not_sent() {
    let (_connection, handle) = ctnetlink::new_connection().expect("a connection");
    let refusal = |result: Option<ctnetlink::Result<()>>| {
        refused(result.expect("an answer at once"), INVALID, &[]);
    };
    for (flow, _) in bad_flows() {
        refusal(handle.create(flow).into_future().now_or_never());
    }
    for (tuple, patch, _) in bad_patches() {
        let update = handle.update(tuple).patch(patch);
        refusal(update.into_future().now_or_never());
    }
    refusal(handle.update(udp(1)).into_future().now_or_never());
    refusal(
        handle
            .set_mark(udp(1), Masked::new(1, 0))
            .into_future()
            .now_or_never(),
    );
    let none = Masked::new(Labels::ALL, Labels::EMPTY);
    refusal(handle.set_labels(udp(1), none).into_future().now_or_never());
    assert!(waits(&handle).is_none());
}

/// A request that is not refused waits.
fn waits(handle: &ConntrackHandle) -> Option<ctnetlink::Result<()>> {
    handle.set_mark(udp(1), 1).into_future().now_or_never()
}
