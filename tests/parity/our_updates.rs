//! Updates by the crate, as conntrack(8) shows them.

use std::time::Duration;

use ctnetlink::{Labels, Masked, NewFlow, Status, TcpState};

use crate::flows::{HOUR, TCP, UDP, connect, create, tcp, udp};
use crate::names::name_all_labels;
use crate::shown::Shown;
use crate::support::nft;
use crate::tool::{conntrack, got};
use crate::wait::same_line;

pub async fn mark() {
    let handle = connect();
    create(&handle, NewFlow::new(udp(), HOUR).mark(0xf0f0_0f0f)).await;
    assert_eq!(got(UDP).mark, Some(0xf0f0_0f0f));
    handle.set_mark(udp(), 0x55).await.expect("a mark");
    assert_eq!(got(UDP).mark, Some(0x55));
    handle
        .set_mark(udp(), Masked::new(0xffff_ffff, 0xf00f))
        .await
        .expect("some bits");
    assert_eq!(got(UDP).mark, Some(0xf05f));
    handle
        .set_mark(udp(), Masked::new(0, 0x0f))
        .await
        .expect("some bits less");
    assert_eq!(got(UDP).mark, Some(0xf050));
    handle.set_mark(udp(), 0).await.expect("no mark");
    assert_eq!(got(UDP).mark, Some(0));
}

pub async fn labels() {
    name_all_labels();
    nft::labels().expect("a rule that uses labels");
    let handle = connect();
    let label = |n| Labels::bit(n).expect("a label");
    create(
        &handle,
        NewFlow::new(udp(), HOUR).labels(label(3) | label(127)),
    )
    .await;
    assert_eq!(got(UDP).labels, ["label3", "label127"]);
    let add = Masked::new(label(64), label(64));
    handle.set_labels(udp(), add).await.expect("one more");
    assert_eq!(got(UDP).labels, ["label3", "label64", "label127"]);
    let remove = Masked::new(Labels::EMPTY, label(127));
    handle.set_labels(udp(), remove).await.expect("one less");
    assert_eq!(got(UDP).labels, ["label3", "label64"]);
    handle
        .set_labels(udp(), label(9))
        .await
        .expect("another set");
    assert_eq!(got(UDP).labels, ["label9"]);
    handle.set_labels(udp(), Labels::EMPTY).await.expect("none");
    assert_eq!(got(UDP).labels, [""; 0]);
}

pub async fn timeout() {
    let handle = connect();
    create(&handle, NewFlow::new(udp(), HOUR)).await;
    let about = |seconds: u64| seconds - 10..=seconds;
    assert!(about(3600).contains(&got(UDP).timeout.expect("a timeout")));
    handle
        .update(udp())
        .timeout(Duration::from_secs(7200))
        .await
        .expect("a timeout");
    assert!(about(7200).contains(&got(UDP).timeout.expect("a timeout")));
}

pub async fn status() {
    let handle = connect();
    create(&handle, NewFlow::new(udp(), HOUR)).await;
    let is = |unreplied, assured| {
        let flow = got(UDP);
        assert_eq!((flow.unreplied, flow.assured), (unreplied, assured));
    };
    is(true, false);
    handle
        .update(udp())
        .status(Status::SEEN_REPLY)
        .await
        .expect("a status");
    is(false, false);
    handle
        .update(udp())
        .status(Status::ASSURED)
        .await
        .expect("a status");
    is(false, true);
    handle
        .update(udp())
        .status(Status::FIXED_TIMEOUT)
        .await
        .expect("a status");
    let saved = conntrack("-L -o save");
    assert!(
        saved.contains(" -u SEEN_REPLY,ASSURED,FIXED_TIMEOUT "),
        "{saved}"
    );
}

pub async fn tcp_state() {
    let handle = connect();
    create(
        &handle,
        NewFlow::new(tcp(), HOUR).tcp_state(TcpState::SYN_SENT),
    )
    .await;
    assert_eq!(got(TCP).state.as_deref(), Some("SYN_SENT"));
    for state in (0..=9).map(TcpState::from) {
        handle
            .update(tcp())
            .tcp_state(state)
            .await
            .expect("a state");
        assert_eq!(got(TCP).state.as_deref(), state.as_str());
    }
}

/// Everything that one request can set, and the whole line as both print it.
pub async fn everything_at_once() {
    name_all_labels();
    nft::labels().expect("a rule that uses labels");
    let handle = connect();
    create(
        &handle,
        NewFlow::new(tcp(), HOUR)
            .tcp_state(TcpState::SYN_SENT)
            .helper("ftp"),
    )
    .await;
    handle
        .update(tcp())
        .mark(7)
        .labels(Labels::from(0b110))
        .timeout(Duration::from_secs(500))
        .status(Status::SEEN_REPLY | Status::ASSURED)
        .tcp_state(TcpState::ESTABLISHED)
        .await
        .expect("an update");
    let flow = same_line(&handle, tcp().into(), TCP).await;
    let shown = got(TCP);
    assert_eq!(
        Shown {
            timeout: None,
            age: None,
            ..shown
        },
        Shown {
            timeout: None,
            age: None,
            ..Shown::from(&flow)
        }
    );
    let shown = got(TCP);
    assert_eq!(shown.mark, Some(7));
    assert_eq!(shown.labels, ["label1", "label2"]);
    assert_eq!(shown.state.as_deref(), Some("ESTABLISHED"));
    assert_eq!(shown.helper.as_deref(), Some("ftp"));
    assert!(shown.assured && !shown.unreplied);
    assert!((400..=500).contains(&shown.timeout.expect("a timeout")));
}
