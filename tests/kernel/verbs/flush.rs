//! Flush removes no more than requested.

use ctnetlink::{ErrorKind, Family, Table};
use libtest_mimic::Trial;

use super::{connect, create, new, refused, sorted, tcp, tcp6, tuples, udp, udp6};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["flush":
        one_family_leaves_the_other,
        both_families_go_together,
        other_tables_are_refused,
    ]
}

async fn one_family_leaves_the_other() {
    let handle = connect();
    for tuple in [tcp(1), tcp6(1), udp(1), udp6(1)] {
        create(&handle, new(tuple)).await;
    }
    let flush = handle.flush(Table::Conntrack).family(Family::Ipv6);
    flush.await.expect("a flush");
    assert_eq!(tuples(&handle).await, sorted(vec![tcp(1), udp(1)]));

    create(&handle, new(tcp6(1))).await;
    let flush = handle.flush(Table::Conntrack).family(Family::Ipv4);
    flush.await.expect("a flush");
    assert_eq!(tuples(&handle).await, [tcp6(1)]);
}

async fn both_families_go_together() {
    let handle = connect();
    for tuple in [tcp(1), tcp6(1)] {
        create(&handle, new(tuple)).await;
        handle.create(new(tuple).zone(5)).await.expect("a flow");
    }
    handle.flush(Table::Conntrack).await.expect("a flush");
    assert_eq!(tuples(&handle).await, []);
    handle
        .flush(Table::Conntrack)
        .await
        .expect("a flush of an empty table");
}

async fn other_tables_are_refused() {
    let handle = connect();
    create(&handle, new(tcp(1))).await;
    for (table, name) in [(Table::Dying, "Dying"), (Table::Unconfirmed, "Unconfirmed")] {
        let flushed = handle.flush(table).await;
        refused(flushed, ErrorKind::InvalidInput, &["flushing", name]);
    }
    assert_eq!(tuples(&handle).await, [tcp(1)]);
}
