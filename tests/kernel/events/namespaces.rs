//! Events of several namespaces.

use ctnetlink::Event;
use libtest_mimic::Trial;

use super::next;
use crate::common::{connect, new, udp};
use crate::support::namespace::block_on;
use crate::support::peer::Peer;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["events::namespaces": those_with_an_id_are_heard,]
}

/// The ends of a veth pair give their namespaces an id of each other; a third has none.
async fn those_with_an_id_are_heard() {
    let peer = Peer::new().await;
    let handle = connect();
    let mut all = handle.events().all_namespaces().await.expect("a stream");
    let mut own = handle.events().await.expect("a stream");
    let create = |n| {
        block_on(async { connect().create(new(n)).await.expect("a flow") });
    };
    peer.run(|| create(1));
    crate::support::namespace::isolated(move || {
        block_on(async { connect().create(new(2)).await.expect("a flow") });
    });
    handle.create(new(3)).await.expect("a flow");

    let event = next(&mut all).await;
    assert!(
        matches!(&event, Event::New { flow, .. } if flow.orig == udp(1)),
        "{event}"
    );
    assert!(event.nsid().is_some(), "{event:?}");
    let event = next(&mut all).await;
    assert!(
        matches!(&event, Event::New { flow, .. } if flow.orig == udp(3)),
        "{event}"
    );
    assert_eq!(event.nsid(), None);
    let event = next(&mut own).await;
    assert_eq!(event.flow().expect("a flow").orig, udp(3));
}
