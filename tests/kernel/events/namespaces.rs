//! Events of several namespaces.

use ctnetlink::{Event, Options, Table};
use libtest_mimic::Trial;

use super::next;
use crate::common::{connect, namespace, new, udp};
use crate::support::namespace::block_on;
use crate::support::peer::Peer;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["events::namespaces":
        those_with_an_id_are_heard,
        one_that_is_deleted_is_heard_to_the_end,
        the_end_of_another_is_not_that_of_the_stream,
    ]
}

/// A veth pair gives each of its two namespaces an id for the other one. A third namespace has no
/// id.
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

/// No process is in the namespace, it has no name, and its file is closed. Only its sockets keep
/// it.
async fn one_that_is_deleted_is_heard_to_the_end() {
    let options = Options::new().network_namespace(namespace());
    let handle = options.connect().await.expect("a connection");
    let mut events = handle.events().await.expect("a stream");
    handle.create(new(1)).await.expect("a flow");
    handle.flush(Table::Conntrack).await.expect("a flush");
    // Then only the stream keeps the namespace.
    drop(handle);
    let event = next(&mut events).await;
    assert!(matches!(&event, Event::New { flow, .. } if flow.orig == udp(1)));
    let event = next(&mut events).await;
    assert!(matches!(&event, Event::Destroy { flow, .. } if flow.orig == udp(1)));
}

/// Another namespace with an id ends while it has flows.
async fn the_end_of_another_is_not_that_of_the_stream() {
    let peer = Peer::new().await;
    let handle = connect();
    let mut all = handle.events().all_namespaces().await.expect("a stream");
    peer.run(|| block_on(async { connect().create(new(1)).await.expect("a flow") }));
    let event = next(&mut all).await;
    assert!(event.nsid().is_some(), "{event:?}");
    drop(peer);
    handle.create(new(2)).await.expect("a flow");
    // The event of the other namespace's flow may come earlier, or never.
    loop {
        let event = next(&mut all).await;
        if event.nsid().is_none() {
            assert_eq!(event.flow().expect("a flow").orig, udp(2));
            break;
        }
    }
}
