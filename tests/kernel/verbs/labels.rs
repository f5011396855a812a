//! Labels: 128 independent bits.

use std::net::{Ipv4Addr, UdpSocket};

use ctnetlink::{ErrorKind, FlowKey, Labels, Masked, NewFlow, Protocol};
use libtest_mimic::Trial;

use super::{HOUR, at, connect, create, got, label, list, new, refused, tcp, tcp6, udp};
use crate::support::nft::{self, Port};
use crate::support::traffic::{self, TcpPair};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["labels":
        a_tcp_flow_is_labelled,
        there_are_128,
        the_other_bits_stay_under_a_mask,
        none_is_a_set_of_labels,
        without_a_rule_the_error_names_the_cure,
        a_rules_label_is_shown,
        a_flow_that_is_gone_is_not_found,
    ]
}

async fn a_tcp_flow_is_labelled() {
    nft::labels().expect("a rule that uses labels");
    let server = at(Ipv4Addr::LOCALHOST.into(), 0);
    let mut pair = TcpPair::connect(server).await.expect("a connection");

    let handle = connect();
    let flow = list(&handle).await.remove(0);
    assert_eq!((flow.orig.protocol(), flow.labels), (Protocol::TCP, None));
    handle.set_labels(&flow, label(3)).await.expect("a label");
    pair.exchange().await.expect("the flow goes on");
    assert_eq!(got(&handle, &flow).await.labels, Some(label(3)));
    let reply = FlowKey::reply(flow.reply);
    handle.set_labels(reply, label(4)).await.expect("a label");
    assert_eq!(got(&handle, flow.orig).await.labels, Some(label(4)));
}

async fn there_are_128() {
    nft::labels().expect("a rule that uses labels");
    let handle = connect();
    create(&handle, new(tcp(1)).labels(label(127))).await;
    assert_eq!(got(&handle, tcp(1)).await.labels, Some(label(127)));
    for n in 0..128 {
        handle.set_labels(tcp(1), label(n)).await.expect("a label");
        let labels = got(&handle, tcp(1)).await.labels.expect("labels");
        assert_eq!(labels.iter().collect::<Vec<_>>(), [n]);
    }
    handle
        .set_labels(tcp(1), Labels::ALL)
        .await
        .expect("labels");
    assert_eq!(got(&handle, tcp(1)).await.labels, Some(Labels::ALL));
}

async fn the_other_bits_stay_under_a_mask() {
    nft::labels().expect("a rule that uses labels");
    let handle = connect();
    let old = label(3) | label(40) | label(64) | label(127);
    create(&handle, new(tcp6(1)).labels(old)).await;
    // Sets one label and clears one. Other bits of the value, which the kernel would toggle, do not
    // count.
    let change = Masked::new(Labels::ALL - label(64), label(5) | label(64));
    handle.set_labels(tcp6(1), change).await.expect("labels");
    let expected = label(3) | label(5) | label(40) | label(127);
    assert_eq!(got(&handle, tcp6(1)).await.labels, Some(expected));

    let out = Masked::new(Labels::EMPTY, label(127));
    handle.set_labels(tcp6(1), out).await.expect("labels");
    let expected = expected - label(127);
    assert_eq!(got(&handle, tcp6(1)).await.labels, Some(expected));
    let update = handle
        .update(tcp6(1))
        .labels(Masked::new(label(0), label(0)));
    update.await.expect("labels");
    assert_eq!(
        got(&handle, tcp6(1)).await.labels,
        Some(expected | label(0))
    );
}

async fn none_is_a_set_of_labels() {
    nft::labels().expect("a rule that uses labels");
    let handle = connect();
    create(&handle, new(tcp(1)).labels(Labels::ALL)).await;
    handle
        .set_labels(tcp(1), Labels::EMPTY)
        .await
        .expect("no labels");
    assert_eq!(got(&handle, tcp(1)).await.labels, None);
    create(&handle, new(tcp(2)).labels(Labels::EMPTY)).await;
    assert_eq!(got(&handle, tcp(2)).await.labels, None);
}

async fn without_a_rule_the_error_names_the_cure() {
    let handle = connect();
    create(&handle, new(tcp(1))).await;
    let refusal = async |key| {
        let labelled = handle.set_labels(key, label(3)).await;
        let cure = ["labelling a flow", "rule", "ct label", "from then on"];
        let error = refused(labelled, ErrorKind::LabelsUnavailable, &cure);
        assert_eq!(error.errno(), Some(nix::libc::ENOSPC));
        assert!(!error.is_not_found());
    };
    refusal(tcp(1)).await;
    // A create succeeds, without the labels.
    let flow = create(&handle, NewFlow::new(tcp(2), HOUR).labels(label(3))).await;
    assert_eq!(flow.labels, None);

    // The advice in the error works, but only for later flows.
    nft::labels().expect("a rule that uses labels");
    refusal(tcp(1)).await;
    create(&handle, new(tcp(3))).await;
    handle.set_labels(tcp(3), label(3)).await.expect("a label");
    assert_eq!(got(&handle, tcp(3)).await.labels, Some(label(3)));
}

async fn a_rules_label_is_shown() {
    let server = UdpSocket::bind("127.0.0.1:0").expect("a server");
    let to = server.local_addr().expect("its address");
    nft::set_label(Port::Udp(to.port()), 100).expect("a rule that labels");
    traffic::udp(None, to).expect("a datagram");
    let flow = list(&connect()).await.remove(0);
    assert_eq!(flow.labels, Some(label(100)));
}

async fn a_flow_that_is_gone_is_not_found() {
    nft::labels().expect("a rule that uses labels");
    let handle = connect();
    create(&handle, new(udp(1))).await;
    handle.delete(udp(1)).await.expect("a delete");
    let labelled = handle.set_labels(udp(1), label(3)).await;
    refused(labelled, ErrorKind::NotFound, &["labelling a flow"]);
}
