//! List: both families in one walk, and the tables other than the main one.

use ctnetlink::{ConntrackHandle, Family, Flow, Status, Table};
use futures::{StreamExt, TryStreamExt};
use libtest_mimic::Trial;
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};

use super::{connect, create, list, new, sorted, tcp, tcp6, tuples, udp, udp6};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["list":
        both_families_come_in_one_walk,
        one_family_is_that_family,
        an_empty_table_is_an_empty_stream,
        a_list_shows_what_a_get_shows,
        flows_whose_end_is_unheard_are_dying,
        unconfirmed_is_a_table_too,
    ]
}

async fn both_families_come_in_one_walk() {
    let handle = connect();
    let made = vec![tcp(1), tcp6(1), udp(1), udp6(1), tcp6(2)];
    for tuple in &made {
        create(&handle, new(*tuple)).await;
    }
    assert_eq!(tuples(&handle).await, sorted(made));
}

async fn one_family_is_that_family() {
    let handle = connect();
    for tuple in [tcp(1), tcp6(1), udp(1), udp6(1)] {
        create(&handle, new(tuple)).await;
    }
    for (family, expected) in [
        (Family::Ipv4, vec![tcp(1), udp(1)]),
        (Family::Ipv6, vec![tcp6(1), udp6(1)]),
    ] {
        let flows = handle.list(Table::Conntrack).family(family).await;
        let flows: Vec<Flow> = flows.expect("a stream").try_collect().await.expect("flows");
        let listed = flows.iter().map(|flow| flow.orig).collect();
        assert_eq!(sorted(listed), sorted(expected), "{family}");
    }
}

async fn an_empty_table_is_an_empty_stream() {
    let mut flows = connect().list(Table::Conntrack).await.expect("a stream");
    assert!(flows.next().await.is_none());
    assert!(flows.next().await.is_none(), "and stays so");
}

async fn a_list_shows_what_a_get_shows() {
    let handle = connect();
    let got = create(&handle, new(tcp6(1)).mark(7)).await;
    let [listed] = &list(&handle).await[..] else {
        panic!("not one flow");
    };
    // The get itself holds a reference to the flow.
    let same = Flow::clone(listed);
    assert_eq!((same.use_count, got.use_count), (Some(1), Some(2)));
    assert_eq!(
        (same.orig, same.reply, same.id),
        (got.orig, got.reply, got.id)
    );
    assert_eq!((same.mark, same.status), (Some(7), got.status));
    assert_eq!(same.timestamp(), got.timestamp());
}

async fn flows_whose_end_is_unheard_are_dying() {
    const MANY: u8 = 200;
    let handle = connect();
    assert_eq!(table(&handle, Table::Dying).await, []);
    let deaf = deaf_listener();
    for n in 0..MANY {
        create(&handle, new(udp(n))).await;
        create(&handle, new(udp6(n))).await;
    }
    handle.flush(Table::Conntrack).await.expect("a flush");
    assert_eq!(list(&handle).await, []);

    let dying = table(&handle, Table::Dying).await;
    // The flows whose events had room in the listener's queue are not dying.
    assert!(dying.len() > usize::from(MANY), "{} are dying", dying.len());
    for flow in &dying {
        assert!(flow.status.contains(Status::DYING), "{flow:?}");
    }
    let six = handle.list(Table::Dying).family(Family::Ipv6).await;
    let six: Vec<Flow> = six.expect("a stream").try_collect().await.expect("flows");
    assert!(!six.is_empty());
    assert!(six.iter().all(|flow| flow.family() == Family::Ipv6));
    drop(deaf);
}

/// A reliable listener for the ends of flows, which never reads.
fn deaf_listener() -> Socket {
    const DESTROY: u32 = 3;
    let mut socket = Socket::new(NETLINK_NETFILTER).expect("a socket");
    socket.bind(&SocketAddr::new(0, 0)).expect("an address");
    socket.set_rx_buf_sz(4096_u32).expect("a small queue");
    socket.set_broadcast_error(true).expect("reliability");
    socket.add_membership(DESTROY).expect("a group");
    socket
}

async fn unconfirmed_is_a_table_too() {
    let handle = connect();
    create(&handle, new(tcp(1))).await;
    // The flows of the main table are confirmed. Since Linux 5.19, no other flows can be listed.
    assert_eq!(table(&handle, Table::Unconfirmed).await, []);
}

async fn table(handle: &ConntrackHandle, table: Table) -> Vec<Flow> {
    let flows = handle.list(table).await.expect("a stream");
    flows.try_collect().await.expect("flows")
}
