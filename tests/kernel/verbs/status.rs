//! Status: bits are added to the current ones.

use std::net::Ipv4Addr;
use std::time::Duration;

use ctnetlink::{ConntrackHandle, ErrorKind, FlowKey, Nat, Status, Tuple};
use libtest_mimic::Trial;

use super::{at, connect, create, got, new, refused, tcp, tcp6, tuples, udp, udp6, v4};
use crate::support::nft;
use crate::support::release;
use crate::support::visible;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["status":
        of_a_fresh_flow,
        of_an_assured_flow,
        of_an_expected_flow,
        of_a_translated_flow,
        of_a_real_connection,
        again_and_again,
        of_a_flow_by_its_reply_in_a_zone,
        of_a_flow_that_is_gone,
        a_fixed_timeout_stays,
    ]
}

async fn set(handle: &ConntrackHandle, tuple: Tuple, status: Status) -> Status {
    let update = handle.update(tuple).status(status).await;
    update.unwrap_or_else(|error| panic!("{status}: {error}"));
    got(handle, tuple).await.status
}

async fn of_a_fresh_flow() {
    let handle = connect();
    for tuple in [udp(1), tcp6(1)] {
        create(&handle, new(tuple)).await;
        let status = set(&handle, tuple, Status::ASSURED).await;
        assert_eq!(status, Status::CONFIRMED | Status::ASSURED);
    }
}

/// To the kernel, a status that lacks a bit is an attempt to clear the bit.
async fn of_an_assured_flow() {
    let handle = connect();
    let old = Status::SEEN_REPLY | Status::ASSURED;
    create(&handle, new(tcp(1)).status(old)).await;
    let status = set(&handle, tcp(1), Status::FIXED_TIMEOUT).await;
    assert_eq!(status, old | Status::CONFIRMED | Status::FIXED_TIMEOUT);
}

async fn of_an_expected_flow() {
    let handle = connect();
    create(&handle, new(tcp(1))).await;
    create(&handle, new(udp(1)).master(tcp(1))).await;
    let old = Status::EXPECTED | Status::CONFIRMED;
    let status = set(&handle, udp(1), Status::SEEN_REPLY).await;
    assert_eq!(status, old | Status::SEEN_REPLY);
    let status = set(&handle, udp(1), Status::ASSURED).await;
    assert_eq!(status, old | Status::SEEN_REPLY | Status::ASSURED);
}

async fn of_a_translated_flow() {
    let handle = connect();
    let flow = create(&handle, new(udp(1)).source_nat(Nat::to(v4(99)))).await;
    assert!(flow.status.contains(Status::SRC_NAT));
    let status = set(&handle, udp(1), Status::ASSURED).await;
    assert_eq!(status, flow.status | Status::ASSURED);
}

async fn of_a_real_connection() {
    nft::track().expect("a rule that tracks");
    let handle = connect();
    let tcp = visible::tcp(&handle, at(Ipv4Addr::LOCALHOST.into(), 0)).await;
    let (mut pair, flow) = tcp.expect("a connection");
    let old = Status::SEEN_REPLY | Status::ASSURED | Status::CONFIRMED;
    assert_eq!(flow.status, old);
    let status = set(&handle, flow.orig, Status::FIXED_TIMEOUT).await;
    assert_eq!(status, old | Status::FIXED_TIMEOUT);
    // Now its packets do not change the timeout.
    let left = got(&handle, &flow).await.timeout;
    pair.exchange().await.expect("bytes");
    assert!(got(&handle, &flow).await.timeout <= left);
}

async fn again_and_again() {
    let handle = connect();
    create(&handle, new(udp6(1))).await;
    let mut expected = Status::CONFIRMED;
    for status in [
        Status::SEEN_REPLY,
        Status::SEEN_REPLY,
        Status::CONFIRMED,
        Status::ASSURED,
        Status::SEEN_REPLY | Status::ASSURED,
        Status::FIXED_TIMEOUT,
        Status::FIXED_TIMEOUT,
    ] {
        expected |= status;
        assert_eq!(set(&handle, udp6(1), status).await, expected);
    }
}

async fn of_a_flow_by_its_reply_in_a_zone() {
    let handle = connect();
    for zone in [0, 5] {
        let flow = new(udp(1)).zone(zone).status(Status::SEEN_REPLY);
        handle.create(flow).await.expect("a flow");
    }
    let key = FlowKey::reply(udp(1).inverse()).zone(5);
    let update = handle.update(key).status(Status::ASSURED);
    update.await.expect("a status");
    let status = got(&handle, key).await.status;
    assert!(status.contains(Status::SEEN_REPLY | Status::ASSURED));
    let status = got(&handle, udp(1)).await.status;
    assert_eq!(status, Status::SEEN_REPLY | Status::CONFIRMED);
}

async fn of_a_flow_that_is_gone() {
    let handle = connect();
    create(&handle, new(udp(2))).await;
    let update = handle.update(udp(1)).status(Status::ASSURED).await;
    refused(update, ErrorKind::NotFound, &["updating a flow"]);
    assert_eq!(tuples(&handle).await, [udp(2)]);
}

async fn a_fixed_timeout_stays() {
    let handle = connect();
    create(&handle, new(udp(1))).await;
    let short = Duration::from_secs(10);
    let update = handle.update(udp(1)).status(Status::FIXED_TIMEOUT);
    update.await.expect("a status");
    let update = handle.update(udp(1)).timeout(short).mark(7).await;
    if !release::refuses_fixed_timeouts() {
        update.expect("a timeout");
        let flow = got(&handle, udp(1)).await;
        assert!(
            flow.timeout <= Some(short) && flow.mark == Some(7),
            "{flow}"
        );
        return;
    }
    let names = ["updating a flow", "timeout is fixed"];
    let error = refused(update, ErrorKind::PermissionDenied, &names);
    assert!(error.is_permission_denied());
    assert_eq!(error.errno(), Some(nix::libc::EPERM));
    // No right is missing.
    assert!(!error.to_string().contains("CAP_NET_ADMIN"), "{error}");
    let flow = got(&handle, udp(1)).await;
    assert!(flow.timeout > Some(Duration::from_secs(3000)));
    assert_eq!(flow.mark, Some(0));
    // In one request, the kernel sets the timeout first.
    create(&handle, new(udp(2))).await;
    let both = handle.update(udp(2)).status(Status::FIXED_TIMEOUT);
    both.timeout(short).await.expect("both");
    let flow = got(&handle, udp(2)).await;
    assert!(flow.status.contains(Status::FIXED_TIMEOUT));
    assert!(flow.timeout <= Some(short));
}
