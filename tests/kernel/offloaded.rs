//! Offloaded flows, whose packets go through a flow table and bypass the rules.

use std::net::{SocketAddr, UdpSocket};

use ctnetlink::{ConntrackHandle, ErrorKind, Filter, Flow, Protocol, Status, Table, Tuple};
use futures::TryStreamExt;
use libtest_mimic::Trial;
use nix::errno::Errno;

use crate::common::connect;
use crate::support::namespace::{block_on, set};
use crate::support::peer::{NEAR, NEAR_BEYOND, Peer};
use crate::support::visible::visible_when;
use crate::support::{link, nft, patience};

pub(crate) fn tests() -> Vec<Trial> {
    crate::trials!["offloaded":
        shown_marked_and_deleted,
        flushed_and_matched,
    ]
}

/// This host forwards packets between a host on each side. Packets of flows in the flow table go
/// through that.
struct Router {
    client: Peer,
    server: Peer,
}

impl Router {
    /// `None` if the kernel has no flow tables.
    async fn new() -> Option<Self> {
        let (client, server) = (Peer::new().await, Peer::beyond().await);
        set("net/ipv4/ip_forward", "1").expect("a setting");
        client.run(|| block_on(link::add_gateway(Peer::NEAR_V4)));
        server.run(|| block_on(link::add_gateway(Peer::NEAR_BEYOND)));
        match nft::offload(&[NEAR, NEAR_BEYOND]) {
            Ok(_) => {}
            Err(refused) if matches!(refused.errno, Errno::ENOENT | Errno::EOPNOTSUPP) => {
                eprintln!("this kernel has no flow tables: {refused}");
                return None;
            }
            Err(refused) => panic!("{refused}"),
        }
        nft::track().expect("a rule");
        Some(Self { client, server })
    }

    /// Sends datagrams and answers until their flow is in the flow table, and returns the flow.
    async fn flow(&self, handle: &ConntrackHandle) -> Flow {
        let bind = |peer: &Peer, at| {
            let socket = peer.run(|| UdpSocket::bind(SocketAddr::new(at, 0)).expect("a socket"));
            let patience = Some(patience::answer());
            socket.set_read_timeout(patience).expect("a deadline");
            socket
        };
        let client = bind(&self.client, Peer::FAR_V4);
        let server = bind(&self.server, Peer::BEYOND);
        let [source, beyond] = [&client, &server].map(|it| it.local_addr().expect("an address"));
        let tuple = Tuple::udp(source, beyond).expect("one family");
        for _ in 0..3 {
            client.send_to(b"question", beyond).expect("a question");
            server.recv(&mut [0; 9]).expect("the question");
            server.send_to(b"answer", source).expect("an answer");
            client.recv(&mut [0; 9]).expect("the answer");
        }
        visible_when(handle, tuple, |flow| flow.status.contains(Status::OFFLOAD)).await
    }
}

/// The kernel does not report its timeout. Kernels without a fix of 2023 keep the flow until it
/// leaves the flow table.
async fn shown_marked_and_deleted() {
    let Some(router) = Router::new().await else {
        return;
    };
    let handle = connect();
    let flow = router.flow(&handle).await;
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
    let Some(router) = Router::new().await else {
        return;
    };
    let handle = connect();
    let mut flows = Vec::new();
    for _ in 0..3 {
        flows.push(router.flow(&handle).await);
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
    let port = flows[0].orig.dst_port().expect("a port");
    let one = Filter::builder()
        .protocol(Protocol::UDP)
        .orig_dst_port(port);
    let report = handle.delete_matching(one.build().expect("a filter")).await;
    let report = report.expect("a report");
    assert_eq!(report.applied + report.failed.len() as u64, 1, "{report:?}");
    handle.flush(Table::Conntrack).await.expect("a flush");
    let left = handle.list(Table::Conntrack).filter(offloaded).await;
    let left: Vec<_> = left.expect("a stream").try_collect().await.expect("flows");
    // All are deleted, or none if the kernel keeps them.
    assert_eq!(left.len(), if report.failed.is_empty() { 0 } else { 3 });
}
