//! Delete removes only the named flow.

use ctnetlink::{ErrorKind, FlowKey, Nat, Status, Zone};
use libtest_mimic::Trial;

use super::{
    connect, create, got, is_gone, list, new, refused, sorted, succession, tcp, tcp6, tuples, udp,
    udp6, v4,
};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["delete":
        by_the_original_tuple,
        by_the_reply_tuple,
        not_by_a_tuple_of_the_other_direction,
        a_listed_flow,
        but_not_the_flows_successor,
        in_a_zone,
        in_a_zone_of_one_direction,
        what_is_gone_already,
        the_master_and_not_its_children,
    ]
}

async fn by_the_original_tuple() {
    let handle = connect();
    for tuple in [tcp(1), tcp(2), tcp6(1), tcp6(2)] {
        create(&handle, new(tuple)).await;
    }
    handle.delete(tcp(1)).await.expect("a delete");
    handle.delete(tcp6(2)).await.expect("a delete");
    assert_eq!(tuples(&handle).await, sorted(vec![tcp(2), tcp6(1)]));
}

async fn by_the_reply_tuple() {
    let handle = connect();
    let nat = Nat::to(v4(99)).port(5000);
    let flow = create(&handle, new(udp(1)).source_nat(nat)).await;
    create(&handle, new(udp(2))).await;
    create(&handle, new(udp6(1))).await;
    let reply = FlowKey::reply(flow.reply);
    handle.delete(reply).await.expect("a delete");
    let reply = FlowKey::reply(udp6(1).inverse());
    handle.delete(reply).await.expect("a delete");
    assert_eq!(tuples(&handle).await, [udp(2)]);
}

/// The kernel's lookup ignores the direction.
async fn not_by_a_tuple_of_the_other_direction() {
    let handle = connect();
    for tuple in [udp(1), tcp6(1)] {
        create(&handle, new(tuple)).await;
        for key in [FlowKey::from(tuple.inverse()), FlowKey::reply(tuple)] {
            refused(handle.delete(key).await, ErrorKind::NotFound, &[]);
        }
        assert!(!is_gone(&handle, tuple).await);
    }
}

async fn a_listed_flow() {
    let handle = connect();
    for flow in [
        new(udp(1)).zone(5),
        new(udp(2)).zone(Zone::orig(6)),
        new(udp6(3)).zone(Zone::reply(7)),
        new(tcp(1)).source_nat(Nat::to(v4(99))),
        new(tcp6(1)).status(Status::ASSURED),
    ] {
        handle.create(flow).await.expect("a flow");
    }
    for flow in list(&handle).await {
        handle.delete(&flow).await.expect("a delete");
        assert!(is_gone(&handle, &flow).await);
        let again = handle.delete(&flow).await;
        refused(again, ErrorKind::NotFound, &[]);
    }
    assert_eq!(tuples(&handle).await, []);
}

async fn but_not_the_flows_successor() {
    let handle = connect();
    let (gone, successor) = succession(&handle, udp(1)).await;
    let deleted = handle.delete(&gone).await;
    refused(deleted, ErrorKind::NotFound, &["deleting a flow"]);
    assert_eq!(got(&handle, udp(1)).await.id, successor.id);
    // By the tuple of either direction.
    let reply = FlowKey::reply(udp(1).inverse());
    let deleted = handle.delete(reply.id(gone.id.expect("an id"))).await;
    refused(deleted, ErrorKind::NotFound, &[]);
    handle
        .delete(reply.id(successor.id.expect("an id")))
        .await
        .expect("a delete");
    assert!(is_gone(&handle, udp(1)).await);
}

async fn in_a_zone() {
    let handle = connect();
    let key = |zone| FlowKey::from(udp(1)).zone(zone);
    for zone in [0, 5, 6] {
        handle.create(new(udp(1)).zone(zone)).await.expect("a flow");
    }
    handle.delete(key(5)).await.expect("a delete");
    assert!(is_gone(&handle, key(5)).await);
    refused(handle.delete(key(7)).await, ErrorKind::NotFound, &[]);
    handle.delete(udp(1)).await.expect("a delete");
    assert!(is_gone(&handle, udp(1)).await);
    assert_eq!(got(&handle, key(6)).await.zone, Zone::new(6));
}

async fn in_a_zone_of_one_direction() {
    let handle = connect();
    let key = FlowKey::from(udp(1)).zone(Zone::orig(5));
    handle.create(new(udp(1))).await.expect("a flow");
    let zoned = new(udp(1)).reply(udp(2).inverse()).zone(Zone::orig(5));
    handle.create(zoned).await.expect("a flow");
    handle.delete(key).await.expect("a delete");
    refused(handle.delete(key).await, ErrorKind::NotFound, &[]);
    assert_eq!(got(&handle, udp(1)).await.zone, Zone::default());
}

async fn what_is_gone_already() {
    let handle = connect();
    create(&handle, new(udp(2))).await;
    for key in [FlowKey::from(udp(1)), FlowKey::reply(udp(1).inverse())] {
        let deleted = handle.delete(key).await;
        let names = ["deleting a flow", "not in the table"];
        let error = refused(deleted, ErrorKind::NotFound, &names);
        assert_eq!(error.errno(), Some(nix::libc::ENOENT));
    }
    assert_eq!(tuples(&handle).await, [udp(2)]);
}

async fn the_master_and_not_its_children() {
    let handle = connect();
    create(&handle, new(tcp(1))).await;
    create(&handle, new(udp(1)).master(tcp(1))).await;
    handle.delete(tcp(1)).await.expect("a delete");
    let child = got(&handle, udp(1)).await;
    assert_eq!(child.master(), Some(&tcp(1)));
}
