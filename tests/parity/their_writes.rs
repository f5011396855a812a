//! Changes by conntrack(8), as the crate shows them.

use std::time::Duration;

use ctnetlink::{
    ConntrackHandle, Flow, FlowKey, Labels, NewFlow, ProtoInfo, Status, Table, TcpState, Zone,
};
use futures::TryStreamExt;

use crate::flows::{DST, TCP, connect, tcp, tcp_between, udp_between};
use crate::names::name_all_labels;
use crate::support::nft;
use crate::tool::conntrack;
use crate::wait::same_line;

async fn get(handle: &ConntrackHandle, key: impl Into<FlowKey>) -> Flow {
    handle.get(key).await.expect("an answer").expect("the flow")
}

fn state(flow: &Flow) -> TcpState {
    match &flow.protoinfo {
        Some(ProtoInfo::Tcp(info)) => info.state,
        other => panic!("{other:?}"),
    }
}

/// The tool creates flows, also with a given reply direction.
pub async fn create() {
    let handle = connect();
    conntrack(&format!(
        "-I {TCP} -t 3600 --state ESTABLISHED -u SEEN_REPLY,ASSURED -m 0x2a"
    ));
    let flow = same_line(&handle, tcp().into(), TCP).await;
    assert_eq!(flow.orig, tcp());
    assert_eq!(flow.reply, tcp().inverse());
    assert_eq!(flow.mark, Some(0x2a));
    assert_eq!(flow.zone, Zone::default());
    assert_eq!(state(&flow), TcpState::ESTABLISHED);
    assert!(
        flow.timeout
            .is_some_and(|timeout| timeout.as_secs().abs_diff(3600) < 60)
    );
    let set = Status::CONFIRMED | Status::SEEN_REPLY | Status::ASSURED;
    assert_eq!(flow.status & set, set);
    assert_eq!(
        get(&handle, FlowKey::reply(tcp().inverse())).await.id,
        flow.id
    );

    // We can create the tool's flow again, with the same settings.
    handle.delete(&flow).await.expect("to delete it");
    handle.create(&flow).await.expect("to create it again");
    let again = same_line(&handle, tcp().into(), TCP).await;
    assert_eq!(
        (again.status, again.protoinfo),
        (flow.status, flow.protoinfo)
    );
}

pub async fn translation() {
    let handle = connect();
    for (key, nat, orig, reply) in [
        (
            "-p udp -s 10.1.0.1 -d 10.2.0.1 --sport 1 --dport 2",
            "--src-nat 192.0.2.7:5000 --dst-nat 192.0.2.8:5001",
            udp_between("10.1.0.1:1", "10.2.0.1:2"),
            udp_between("192.0.2.8:5001", "192.0.2.7:5000"),
        ),
        (
            "-p udp -s fd00::1 -d fd00::2 --sport 1 --dport 2",
            "--src-nat fd00::7",
            udp_between("[fd00::1]:1", "[fd00::2]:2"),
            udp_between("[fd00::2]:2", "[fd00::7]:1"),
        ),
    ] {
        conntrack(&format!("-I -t 3600 {key} {nat}"));
        let flow = same_line(&handle, orig.into(), key).await;
        assert_eq!(flow.reply, reply);
        assert!(flow.status.contains(Status::SRC_NAT));
        assert_eq!(
            flow.status.contains(Status::DST_NAT),
            nat.contains("--dst-nat")
        );

        // A flow that is restored from our `Flow` has the same translation.
        conntrack(&format!("-D {key}"));
        let restored = NewFlow::from(&flow);
        handle.create(restored).await.expect("to create it again");
        let again = same_line(&handle, orig.into(), key).await;
        assert_eq!((again.reply, again.status), (flow.reply, flow.status));
    }
}

pub async fn zones() {
    let handle = connect();
    for (zone, option) in [
        (Zone::default(), ""),
        (Zone::new(5), "-w 5"),
        (Zone::new(u16::MAX), "-w 65535"),
    ] {
        conntrack(&format!("-I {TCP} -t 3600 --state NONE {option}"));
        let flow = get(&handle, FlowKey::orig(tcp()).zone(zone)).await;
        assert_eq!((flow.zone, flow.orig), (zone, tcp()));
    }
    for (zone, option) in [
        (Zone::orig(7), "--orig-zone 7"),
        (Zone::reply(8), "--reply-zone 8"),
    ] {
        let address = format!("10.3.0.{}", zone.id());
        let key = TCP.replace("10.1.0.1", &address);
        conntrack(&format!("-I {key} -t 3600 --state NONE {option}"));
        let tuple = tcp_between(&format!("{address}:4000"), DST);
        let flow = get(&handle, FlowKey::orig(tuple).zone(zone)).await;
        assert_eq!((flow.zone, flow.orig), (zone, tuple));
    }
}

pub async fn update() {
    let handle = connect();
    conntrack(&format!("-I {TCP} -t 3600 --state SYN_SENT"));
    conntrack(&format!("-U {TCP} -m 0x55"));
    assert_eq!(get(&handle, tcp()).await.mark, Some(0x55));
    conntrack(&format!("-U {TCP} -m 0xf0/0xf0"));
    let flow = get(&handle, tcp()).await;
    // As with our updates, the bits outside of the mask stay.
    assert_eq!(flow.mark, Some(0xf5));
    conntrack(&format!("-U {TCP} --state ESTABLISHED"));
    assert_eq!(state(&get(&handle, tcp()).await), TcpState::ESTABLISHED);
    conntrack(&format!("-U {TCP} -t 500"));
    let timeout = get(&handle, tcp()).await.timeout.expect("a timeout");
    assert!((Duration::from_secs(400)..=Duration::from_secs(500)).contains(&timeout));
    conntrack(&format!("-U {TCP} -u SEEN_REPLY,ASSURED,FIXED_TIMEOUT"));
    let set = Status::SEEN_REPLY | Status::ASSURED | Status::FIXED_TIMEOUT;
    let flow = same_line(&handle, tcp().into(), TCP).await;
    assert!(flow.status.contains(set), "{}", flow.status);
}

pub async fn labels() {
    name_all_labels();
    nft::labels().expect("a rule that uses labels");
    let handle = connect();
    conntrack(&format!("-I {TCP} -t 3600 --state ESTABLISHED"));
    assert_eq!(get(&handle, tcp()).await.labels, None);
    conntrack(&format!("-U {TCP} --label-add label3"));
    conntrack(&format!("-U {TCP} --label-add label127"));
    let both = Labels::from(1 << 3 | 1 << 127);
    assert_eq!(get(&handle, tcp()).await.labels, Some(both));
    conntrack(&format!("-U {TCP} --label-del label3"));
    assert_eq!(
        get(&handle, tcp()).await.labels,
        Some(Labels::from(1 << 127))
    );
}

pub async fn delete() {
    let handle = connect();
    conntrack(&format!("-I {TCP} -t 3600 --state ESTABLISHED"));
    let flow = get(&handle, tcp()).await;
    conntrack(&format!("-D {TCP}"));
    assert_eq!(handle.get(tcp()).await.expect("an answer"), None);
    let gone = handle
        .delete(&flow)
        .await
        .expect_err("to delete what is gone");
    assert!(gone.is_not_found(), "{gone}");
}

pub async fn flush() {
    let handle = connect();
    conntrack(&format!("-I {TCP} -t 3600 --state ESTABLISHED"));
    conntrack("-F");
    let flows = handle.list(Table::Conntrack).await.expect("a list");
    assert_eq!(flows.try_collect::<Vec<_>>().await.expect("all flows"), []);
}
