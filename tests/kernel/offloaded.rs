//! Flows whose packets go through a flow table, past the rules.

use std::net::{IpAddr, Ipv4Addr};

use ctnetlink::{ConntrackHandle, ErrorKind, Filter, Flow, Status, Table, Tuple};
use futures::TryStreamExt;
use libtest_mimic::Trial;
use nix::errno::Errno;

use crate::common::connect;
use crate::support::namespace::set;
use crate::support::peer::{NEAR, Peer};
use crate::support::visible::{visible, visible_when};
use crate::support::{link, nft, traffic};

pub(crate) fn tests() -> Vec<Trial> {
    crate::trials!["offloaded":
        shown_marked_and_deleted,
        flushed_and_matched,
    ]
}

const BEYOND: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

/// This namespace passes on what the peer sends, and its packets go through a flow table from the second on. `None`
/// where the kernel has none.
async fn router() -> Option<Peer> {
    let peer = Peer::new().await;
    match nft::offload(NEAR) {
        Ok(_) => {}
        Err(refused) if matches!(refused.errno, Errno::ENOENT | Errno::EOPNOTSUPP) => {
            eprintln!("this kernel has no flow tables: {refused}");
            return None;
        }
        Err(refused) => panic!("{refused}"),
    }
    nft::track().expect("a rule");
    link::add_dummy("du").await;
    link::set_up("du").await;
    link::add_address("du", Ipv4Addr::new(198, 51, 100, 1).into(), 24).await;
    set("net/ipv4/ip_forward", "1").expect("a setting");
    let IpAddr::V4(near) = Peer::NEAR_V4 else {
        unreachable!("an IPv4 address");
    };
    peer.run(|| {
        crate::support::namespace::block_on(link::add_route(
            Ipv4Addr::new(198, 51, 100, 0),
            24,
            near,
        ));
    });
    Some(peer)
}

async fn flow(handle: &ConntrackHandle, peer: &Peer, port: u16) -> Flow {
    let beyond = (BEYOND, port).into();
    let source = peer.run(|| traffic::udp(None, beyond).expect("a packet"));
    let tuple = Tuple::udp(source, beyond).expect("one family");
    visible(handle, tuple).await;
    peer.run(|| traffic::udp(Some(source), beyond).expect("a packet"));
    visible_when(handle, tuple, |flow| flow.status.contains(Status::OFFLOAD)).await
}

/// The kernel shows no timeout of it. Kernels without a mending of 2023 keep it until the flow table lets go.
async fn shown_marked_and_deleted() {
    let Some(peer) = router().await else {
        return;
    };
    let handle = connect();
    let flow = flow(&handle, &peer, 9).await;
    assert_eq!(flow.timeout, None, "{flow}");
    assert!(flow.to_string().contains("[OFFLOAD]"), "{flow}");
    handle.set_mark(&flow, 7).await.expect("a mark");
    let got = handle.get(&flow).await.expect("an answer").expect("it");
    assert_eq!(got.mark, Some(7));
    match handle.delete(&flow).await {
        Ok(()) => assert_eq!(handle.get(&flow).await.expect("an answer"), None),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
            assert!(error.to_string().contains("flow table"), "{error}");
        }
    }
}

async fn flushed_and_matched() {
    let Some(peer) = router().await else {
        return;
    };
    let handle = connect();
    for port in [9, 10, 11] {
        flow(&handle, &peer, port).await;
    }
    let offloaded = Filter::builder().has_status(Status::OFFLOAD);
    let offloaded = offloaded.build().expect("a filter");
    let listed = handle
        .list(Table::Conntrack)
        .filter(offloaded.clone())
        .await;
    let listed: Vec<_> = listed
        .expect("a stream")
        .try_collect()
        .await
        .expect("flows");
    assert_eq!(listed.len(), 3);
    let one = Filter::builder()
        .has_status(Status::OFFLOAD)
        .orig_dst_port(9);
    let report = handle.delete_matching(one.build().expect("a filter")).await;
    let report = report.expect("a report");
    assert_eq!(report.applied + report.failed.len() as u64, 1, "{report:?}");
    handle.flush(Table::Conntrack).await.expect("a flush");
    let left = handle.list(Table::Conntrack).filter(offloaded).await;
    let left: Vec<_> = left.expect("a stream").try_collect().await.expect("flows");
    // All, or none, where it keeps them.
    assert_eq!(left.len(), if report.failed.is_empty() { 0 } else { 3 });
}
