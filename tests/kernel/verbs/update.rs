//! Update: timeout, sequence adjustment, SYN proxy, and several changes at once.

use std::time::Duration;

use ctnetlink::{
    ConntrackHandle, ErrorKind, FlowKey, Masked, Patch, ProtoInfo, SeqAdj, Status, SynProxy,
    TcpState, Tuple,
};
use libtest_mimic::Trial;

use super::{
    HOUR, connect, create, got, is_gone, label, mark_of, new, refused, tcp, tcp6, tuples, udp, udp6,
};
use crate::support::nft;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["update":
        the_timeout,
        a_timeout_of_none_ends_the_flow,
        the_sequence_adjustment,
        the_syn_proxys_numbers,
        several_things_at_once,
        a_patch_for_many,
        nothing_is_no_change,
        what_failed_leaves_what_came_before,
        a_flow_that_is_gone_is_not_made,
    ]
}

async fn left(handle: &ConntrackHandle, key: impl Into<FlowKey>) -> u64 {
    let left = got(handle, key).await.timeout;
    left.expect("a timeout").as_secs()
}

async fn the_timeout() {
    let handle = connect();
    for tuple in [udp(1), tcp6(1)] {
        create(&handle, new(tuple)).await;
        for seconds in [7200, 100] {
            let update = handle.update(tuple).timeout(Duration::from_secs(seconds));
            update.await.expect("a timeout");
            let left = left(&handle, tuple).await;
            assert!((seconds - 10..=seconds).contains(&left), "{left} s left");
        }
        let most = Duration::from_secs(u32::MAX.into());
        handle
            .update(tuple)
            .timeout(most)
            .await
            .expect("a long time");
        // The kernel limits the timeout. The limit depends on its tick.
        assert!(left(&handle, tuple).await > 20 * 24 * 3600);
        let half = Duration::from_millis(9500);
        handle.update(tuple).timeout(half).await.expect("a timeout");
        let left = left(&handle, tuple).await;
        assert!((8..=10).contains(&left), "{left} s left");
    }
}

async fn a_timeout_of_none_ends_the_flow() {
    let handle = connect();
    create(&handle, new(udp(1))).await;
    let update = handle.update(udp(1)).timeout(Duration::ZERO);
    update.await.expect("a timeout");
    assert!(is_gone(&handle, udp(1)).await);
}

async fn the_sequence_adjustment() {
    let handle = connect();
    create(&handle, new(tcp(1))).await;
    let adjusted = |n| SeqAdj::new(n, i32::MIN, -1);
    let update = handle.update(tcp(1)).seqadj_orig(adjusted(1));
    update.await.expect("an adjustment");
    let flow = got(&handle, tcp(1)).await;
    assert_eq!(flow.seqadj_orig(), Some(&adjusted(1)));
    assert_eq!(
        flow.seqadj_reply().copied().unwrap_or_default(),
        SeqAdj::default()
    );
    assert!(flow.status.contains(Status::SEQ_ADJUST));
    let update = handle.update(tcp(1)).seqadj_reply(adjusted(u32::MAX));
    update.await.expect("an adjustment");
    let flow = got(&handle, tcp(1)).await;
    assert_eq!(flow.seqadj_orig(), Some(&adjusted(1)));
    assert_eq!(flow.seqadj_reply(), Some(&adjusted(u32::MAX)));
}

async fn the_syn_proxys_numbers() {
    let handle = connect();
    let flow = create(&handle, new(tcp(1))).await;
    assert_eq!(flow.synproxy, Some(SynProxy::default()));
    let numbers = SynProxy::new(u32::MAX, 1, 0x0102_0304);
    let update = handle.update(tcp(1)).synproxy(numbers);
    update.await.expect("numbers");
    assert_eq!(got(&handle, tcp(1)).await.synproxy, Some(numbers));
}

fn everything() -> Patch {
    Patch::new()
        .mark(Masked::new(0x50, 0xf0))
        .labels(Masked::new(label(64), label(64) | label(3)))
        .timeout(Duration::from_secs(500))
        .status(Status::SEEN_REPLY | Status::ASSURED)
        .tcp_state(TcpState::ESTABLISHED)
        .synproxy(SynProxy::new(1, 2, 3))
}

async fn has_everything(handle: &ConntrackHandle, tuple: Tuple) {
    let flow = got(handle, tuple).await;
    assert_eq!(flow.mark, Some(0x5f));
    assert_eq!(flow.labels, Some(label(0) | label(64)));
    let left = flow.timeout.expect("a timeout").as_secs();
    assert!((490..=500).contains(&left), "{left} s left");
    assert!(flow.status.contains(Status::SEEN_REPLY | Status::ASSURED));
    let Some(ProtoInfo::Tcp(info)) = flow.protoinfo else {
        panic!("no state");
    };
    assert_eq!(info.state, TcpState::ESTABLISHED);
    assert_eq!(flow.synproxy.map(|numbers| numbers.tsoff), Some(3));
}

async fn several_things_at_once() {
    nft::labels().expect("a rule that uses labels");
    let handle = connect();
    let flow = new(tcp(1)).mark(0xaf).labels(label(0) | label(3));
    create(&handle, flow).await;
    handle
        .update(tcp(1))
        .mark(Masked::new(0x50, 0xf0))
        .labels(Masked::new(label(64), label(64) | label(3)))
        .timeout(Duration::from_secs(500))
        .status(Status::SEEN_REPLY | Status::ASSURED)
        .tcp_state(TcpState::ESTABLISHED)
        .synproxy(SynProxy::new(1, 2, 3))
        .await
        .expect("an update");
    has_everything(&handle, tcp(1)).await;
}

async fn a_patch_for_many() {
    nft::labels().expect("a rule that uses labels");
    let handle = connect();
    for tuple in [tcp(1), tcp6(1)] {
        let flow = new(tuple).mark(0x0f).labels(label(0) | label(3));
        create(&handle, flow).await;
        // The patch replaces the changes before it.
        let update = handle.update(tuple).mark(u32::MAX).patch(everything());
        update.await.expect("an update");
        has_everything(&handle, tuple).await;
    }
}

async fn nothing_is_no_change() {
    let handle = connect();
    create(&handle, new(udp(1))).await;
    let names = ["updating a flow", "nothing to change"];
    refused(handle.update(udp(1)).await, ErrorKind::InvalidInput, &names);
    let update = handle.update(udp(1)).patch(Patch::new()).await;
    refused(update, ErrorKind::InvalidInput, &names);
}

/// The kernel sets the mark before the labels.
async fn what_failed_leaves_what_came_before() {
    let handle = connect();
    create(&handle, new(udp(1))).await;
    let update = handle.update(udp(1)).labels(label(3)).mark(7).await;
    refused(update, ErrorKind::LabelsUnavailable, &["updating a flow"]);
    assert_eq!(mark_of(&handle, udp(1)).await, 7);
}

async fn a_flow_that_is_gone_is_not_made() {
    let handle = connect();
    create(&handle, new(udp(1))).await;
    let short = Duration::from_secs(1);
    let update = handle.update(udp(1)).timeout(short);
    update.await.expect("a timeout");
    create(&handle, new(udp6(1))).await;
    handle.delete(udp6(1)).await.expect("a delete");
    tokio::time::sleep(2 * short).await;
    for tuple in [udp(1), udp6(1)] {
        let patch = Patch::new().timeout(HOUR).mark(1).status(Status::ASSURED);
        let update = handle.update(tuple).patch(patch).await;
        refused(update, ErrorKind::NotFound, &["not in the table"]);
    }
    assert_eq!(tuples(&handle).await, []);
}
