//! Create: all attributes of a new flow, and what the kernel refuses.

use std::time::Duration;

use ctnetlink::{ErrorKind, FlowKey, Nat, NewFlow, SeqAdj, Status, SynProxy, TcpState, Zone};
use libtest_mimic::Trial;

use super::{
    HOUR, connect, create, got, is_gone, label, list, mark_of, new, refused, tcp, tcp6, tuples,
    udp, udp6, v4,
};
use crate::support::nft;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["create":
        with_all_settings_at_once,
        with_status_bits,
        in_a_zone,
        with_a_timeout,
        of_what_is_there_already,
        onto_the_reply_of_another,
        below_a_master,
        below_a_master_that_is_not_there,
    ]
}

async fn with_all_settings_at_once() {
    nft::labels().expect("a rule that uses labels");
    let handle = connect();
    let (orig, reply) = (seqadj(1), seqadj(2));
    let synproxy = SynProxy::new(1, 2, u32::MAX);
    for tuple in [tcp(1), tcp6(1)] {
        let flow = new(tuple)
            .status(Status::SEEN_REPLY | Status::ASSURED)
            .mark(0xdead_beef)
            .labels(label(0) | label(127))
            .zone(5)
            .tcp_state(TcpState::ESTABLISHED)
            .helper("ftp")
            .seqadj_orig(orig)
            .seqadj_reply(reply)
            .synproxy(synproxy);
        handle.create(flow).await.expect("a flow");
        assert!(is_gone(&handle, tuple).await, "it is not in zone 0");
        let flow = got(&handle, FlowKey::from(tuple).zone(5)).await;
        assert_eq!((flow.orig, flow.reply), (tuple, tuple.inverse()));
        let status = Status::SEEN_REPLY | Status::ASSURED | Status::HELPER | Status::SEQ_ADJUST;
        assert_eq!(flow.status, status | Status::CONFIRMED);
        assert_eq!(flow.mark, Some(0xdead_beef));
        assert_eq!(flow.labels, Some(label(0) | label(127)));
        assert_eq!(flow.zone, Zone::new(5));
        assert_eq!(flow.helper().map(|helper| &*helper.name), Some("ftp"));
        assert_eq!(flow.seqadj_orig(), Some(&orig));
        assert_eq!(flow.seqadj_reply(), Some(&reply));
        assert_eq!(flow.synproxy, Some(synproxy));
        assert!(flow.timestamp().is_some());
    }
}

fn seqadj(n: u32) -> SeqAdj {
    SeqAdj::new(n, -3, i32::MAX)
}

async fn with_status_bits() {
    let handle = connect();
    let bits = [
        Status::SEEN_REPLY,
        Status::ASSURED,
        Status::FIXED_TIMEOUT,
        Status::SEEN_REPLY | Status::ASSURED | Status::FIXED_TIMEOUT,
        Status::CONFIRMED,
    ];
    for (n, status) in (1..).zip(bits) {
        let flow = create(&handle, new(udp(n)).status(status)).await;
        assert_eq!(flow.status, status | Status::CONFIRMED);
    }
}

async fn in_a_zone() {
    let handle = connect();
    let zones = [
        Zone::new(1),
        Zone::new(u16::MAX),
        Zone::orig(6),
        Zone::reply(7),
    ];
    for (n, zone) in (1..).zip(zones) {
        for tuple in [udp(n), udp6(n)] {
            handle.create(new(tuple).zone(zone)).await.expect("a flow");
            let flow = got(&handle, FlowKey::from(tuple).zone(zone)).await;
            assert_eq!((flow.zone, flow.orig), (zone, tuple));
        }
    }
    for flow in list(&handle).await {
        assert_eq!(got(&handle, &flow).await.zone, flow.zone);
    }
    // Zone 0 is still free.
    create(&handle, new(udp(1))).await;
}

async fn with_a_timeout() {
    let handle = connect();
    // The kernel counts whole seconds. Half a second must not become zero.
    let half = NewFlow::new(udp(1), Duration::from_millis(500));
    handle.create(half).await.expect("a flow");
    assert!(!is_gone(&handle, udp(1)).await);
    let most = NewFlow::new(udp(2), Duration::from_secs(u32::MAX.into()));
    let left = create(&handle, most).await.timeout.expect("a timeout");
    assert!(left > Duration::from_secs(20 * 24 * 3600), "{left:?}");
    // Zero stays zero.
    let none = NewFlow::new(udp(3), Duration::ZERO);
    handle.create(none).await.expect("an answer");
    assert!(is_gone(&handle, udp(3)).await);
}

async fn of_what_is_there_already() {
    let handle = connect();
    create(&handle, new(tcp(1)).mark(1)).await;
    for tuple in [tcp(1), tcp(1).inverse()] {
        let created = handle.create(new(tuple).mark(2)).await;
        let error = refused(created, ErrorKind::AlreadyExists, &["creating a flow"]);
        assert!(error.is_already_exists());
        assert_eq!(error.errno(), Some(nix::libc::EEXIST));
        // The flow with the inverse tuple is not changed either.
        assert_eq!(mark_of(&handle, tcp(1)).await, 1);
    }
    let created = handle.create(new(tcp(1))).await;
    refused(
        created,
        ErrorKind::AlreadyExists,
        &["the flow is in the table already"],
    );
    assert_eq!(tuples(&handle).await, [tcp(1)]);
}

async fn onto_the_reply_of_another() {
    let handle = connect();
    create(&handle, new(udp(1))).await;
    let created = handle.create(new(udp(2)).reply(udp(1).inverse())).await;
    refused(
        created,
        ErrorKind::AlreadyExists,
        &["another flow", "reply tuple"],
    );
    let nat = Nat::to(v4(1)).port(4000);
    let created = handle.create(new(udp(2)).source_nat(nat)).await;
    refused(
        created,
        ErrorKind::AlreadyExists,
        &["another flow", "range"],
    );
    assert!(is_gone(&handle, udp(2)).await);
}

async fn below_a_master() {
    let handle = connect();
    for zone in [0, 5] {
        for (master, child) in [(tcp(1), udp(1)), (tcp6(1), udp6(1))] {
            let related = new(child).zone(zone).master(master);
            handle
                .create(new(master).zone(zone))
                .await
                .expect("a master");
            handle.create(related).await.expect("a related flow");
            let flow = got(&handle, FlowKey::from(child).zone(zone)).await;
            assert_eq!(flow.master(), Some(&master));
            assert_eq!(flow.status, Status::CONFIRMED | Status::EXPECTED);
        }
    }
}

async fn below_a_master_that_is_not_there() {
    let handle = connect();
    let related = || NewFlow::new(udp(1), HOUR).master(tcp(1));
    refused(
        handle.create(related()).await,
        ErrorKind::NotFound,
        &["master"],
    );
    // The master exists, but in another zone.
    create(&handle, new(tcp(1))).await;
    let created = handle.create(related().zone(5)).await;
    refused(created, ErrorKind::NotFound, &["master", "zone"]);
    assert_eq!(tuples(&handle).await, [tcp(1)]);
    create(&handle, related()).await;
}
