//! Helpers: set when a flow is created, with few changes later.

use std::net::{Ipv4Addr, TcpListener};

use ctnetlink::{ConntrackHandle, ErrorKind, Flow, FlowKey, Status};
use libtest_mimic::Trial;

use super::{at, connect, create, got, is_gone, list, mark_of, new, refused, tcp, tcp6, udp};
use crate::support::nft::{self, Port};
use crate::support::release;
use crate::support::traffic::TcpPair;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["helper":
        a_flow_begins_with_one,
        one_that_the_kernel_lacks,
        none_can_be_added_later,
        it_cannot_be_replaced,
        once_taken_away_it_is_gone_for_ever,
        a_rules_helper_is_shown,
    ]
}

fn name(flow: &Flow) -> Option<&str> {
    flow.helper().map(|helper| &*helper.name)
}

async fn name_of(handle: &ConntrackHandle, key: impl Into<FlowKey>) -> Option<String> {
    name(&got(handle, key).await).map(str::to_owned)
}

async fn a_flow_begins_with_one() {
    let handle = connect();
    for tuple in [tcp(1), tcp6(1)] {
        let flow = create(&handle, new(tuple).helper("ftp")).await;
        assert_eq!(name(&flow), Some("ftp"));
        assert_eq!(flow.status, Status::CONFIRMED | Status::HELPER);
    }
    assert_eq!(name(&create(&handle, new(tcp(2))).await), None);
}

async fn one_that_the_kernel_lacks() {
    let handle = connect();
    // A name has at most 15 bytes. The second helper is for another protocol.
    for flow in [
        new(tcp(1)).helper("no-such-helper0"),
        new(udp(1)).helper("ftp"),
    ] {
        let tuple = *flow.orig();
        let created = handle.create(flow).await;
        let cure = ["creating a flow", "no helper of that name", "module"];
        refused(created, ErrorKind::Unsupported, &cure);
        assert!(is_gone(&handle, tuple).await);
    }
    create(&handle, new(tcp(1)).helper("ftp")).await;
    let update = handle.update(tcp(1)).helper("no-such-helper0").await;
    let error = refused(update, ErrorKind::Unsupported, &["helper", "of that name"]);
    assert_eq!(error.errno(), Some(nix::libc::EOPNOTSUPP));
    assert_eq!(name_of(&handle, tcp(1)).await.as_deref(), Some("ftp"));
}

async fn none_can_be_added_later() {
    let handle = connect();
    create(&handle, new(tcp(1))).await;
    let update = handle.update(tcp(1)).helper("ftp").mark(7).await;
    let names = ["updating a flow", "created without a helper"];
    refused(update, ErrorKind::Unsupported, &names);
    assert_eq!(name_of(&handle, tcp(1)).await, None);
    assert_eq!(mark_of(&handle, tcp(1)).await, 0);
}

async fn it_cannot_be_replaced() {
    let handle = connect();
    create(&handle, new(tcp(1)).helper("ftp")).await;
    let update = handle.update(tcp(1)).helper("ftp");
    update.await.expect("the same helper");
    // H.323's first helper is for TCP too.
    let other = ["irc", "Q.931", "sip"];
    let mut refusals = 0;
    for (n, other) in (2..).zip(other) {
        let Ok(()) = handle.create(new(tcp(n)).helper(other)).await else {
            continue;
        };
        let update = handle.update(tcp(1)).helper(other).await;
        refused(update, ErrorKind::Busy, &["updating a flow", "replaced"]);
        refusals += 1;
    }
    assert!(refusals > 0, "the kernel has ftp's helper alone");
    assert_eq!(name_of(&handle, tcp(1)).await.as_deref(), Some("ftp"));
}

async fn once_taken_away_it_is_gone_for_ever() {
    let handle = connect();
    create(&handle, new(tcp6(1)).helper("ftp")).await;
    let update = handle.update(tcp6(1)).helper("").await;
    if !release::takes_helpers_away() {
        let text = ["updating a flow", "cannot remove a flow's helper"];
        refused(update, ErrorKind::Unsupported, &text);
        assert_eq!(name_of(&handle, tcp6(1)).await.as_deref(), Some("ftp"));
        return;
    }
    update.expect("no helper");
    assert_eq!(name_of(&handle, tcp6(1)).await, None);
    let update = handle.update(tcp6(1)).helper("ftp").await;
    let error = refused(update, ErrorKind::Busy, &["removed"]);
    assert_eq!(error.errno(), Some(nix::libc::EBUSY));
    assert_eq!(name_of(&handle, tcp6(1)).await, None);
}

async fn a_rules_helper_is_shown() {
    let listener = TcpListener::bind(at(Ipv4Addr::LOCALHOST.into(), 0)).expect("a server");
    let server = listener.local_addr().expect("its address");
    nft::helper("ftp", Port::Tcp(server.port())).expect("a rule");
    let pair = TcpPair::through(listener, None, server).await;
    let _pair = pair.expect("a connection");
    let handle = connect();
    let flows = list(&handle).await;
    assert_eq!(flows.iter().map(name).collect::<Vec<_>>(), [Some("ftp")]);
}
