//! Get returns the named flow, or none.

use ctnetlink::{Counters, Flow, FlowKey, Nat};
use libtest_mimic::Trial;

use super::{at, connect, create, got, is_gone, new, succession, tcp, tcp6, udp, udp6, v4, v6};
use crate::support::nft;
use crate::support::visible;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["get":
        either_tuple_finds_the_flow,
        a_tuple_of_the_other_direction_finds_nothing,
        what_is_not_there_is_none,
        the_zone_counts,
        counters_are_read_and_zeroed_at_once,
        a_flows_successor_is_not_that_flow,
    ]
}

async fn either_tuple_finds_the_flow() {
    let handle = connect();
    let nat = |to| Nat::to(to).port(5000);
    for new in [
        new(udp(1)).source_nat(nat(v4(99))),
        new(tcp6(1)).destination_nat(nat(v6(99))),
    ] {
        let flow = create(&handle, new).await;
        assert_ne!(flow.reply, flow.orig.inverse());
        let by_reply = got(&handle, FlowKey::reply(flow.reply)).await;
        assert_eq!((by_reply.orig, by_reply.id), (flow.orig, flow.id));
        assert!(is_gone(&handle, FlowKey::reply(flow.orig.inverse())).await);
    }
}

/// The kernel's lookup ignores the direction.
async fn a_tuple_of_the_other_direction_finds_nothing() {
    let handle = connect();
    create(&handle, new(tcp(1))).await;
    create(&handle, new(tcp6(1))).await;
    for tuple in [tcp(1), tcp6(1)] {
        assert!(!is_gone(&handle, tuple).await);
        assert!(!is_gone(&handle, FlowKey::reply(tuple.inverse())).await);
        assert!(is_gone(&handle, tuple.inverse()).await);
        assert!(is_gone(&handle, FlowKey::reply(tuple)).await);
    }
}

async fn what_is_not_there_is_none() {
    let handle = connect();
    assert!(is_gone(&handle, tcp(1)).await);
    create(&handle, new(tcp(1))).await;
    for tuple in [tcp(2), udp(1), tcp6(1), udp6(1)] {
        assert!(is_gone(&handle, tuple).await, "{tuple:?}");
    }
    let zeroed = handle.get(tcp(2)).zero_counters().await;
    assert_eq!(zeroed.expect("an answer"), None);
}

async fn the_zone_counts() {
    let handle = connect();
    handle
        .create(new(udp(1)).zone(5).mark(5))
        .await
        .expect("a flow");
    assert!(is_gone(&handle, udp(1)).await);
    assert!(is_gone(&handle, FlowKey::from(udp(1)).zone(6)).await);
    let flow = got(&handle, FlowKey::from(udp(1)).zone(5)).await;
    assert_eq!((flow.zone, flow.mark), (5.into(), Some(5)));
    // The key of a `Flow` includes its zone.
    assert_eq!(got(&handle, &flow).await.mark, Some(5));
    let reply = FlowKey::reply(udp(1).inverse()).zone(5);
    assert_eq!(got(&handle, reply).await.mark, Some(5));
}

async fn counters_are_read_and_zeroed_at_once() {
    nft::track().expect("a rule that tracks");
    let handle = connect();
    let server = at("127.0.0.1".parse().expect("an address"), 0);
    let udp = visible::udp(&handle, server).await;
    let (mut pair, flow) = udp.expect("a question and an answer");
    let (other, _) = visible::udp(&handle, server).await.expect("another");

    // 28 bytes of headers each.
    let counters = |packets| {
        let of = |bytes| Some(Counters::new(packets, packets * bytes));
        (of(36), of(34))
    };
    let count = |flow: Flow| (flow.counters_orig, flow.counters_reply);
    assert_eq!(count(flow.clone()), counters(1));
    pair.send().expect("a question");
    pair.reply().expect("an answer");
    assert_eq!(count(got(&handle, &flow).await), counters(2), "a get");
    let taken = handle.get(&flow).zero_counters().await;
    let taken = taken.expect("an answer").expect("the flow");
    assert_eq!(count(taken), counters(2), "what was taken");
    assert_eq!(
        count(got(&handle, &flow).await),
        counters(0),
        "what is left"
    );

    pair.send().expect("a question");
    pair.reply().expect("an answer");
    assert_eq!(count(got(&handle, &flow).await), counters(1));
    // The kernel finds the flow by this tuple too.
    let reversed = handle.get(flow.orig.inverse()).zero_counters().await;
    assert_eq!(reversed.expect("an answer"), None);
    assert_eq!(count(got(&handle, &flow).await), counters(1), "not its own");
    let other = ctnetlink::Tuple::udp(other.source, other.destination).expect("one family");
    assert_eq!(count(got(&handle, other).await), counters(1), "another's");
}

async fn a_flows_successor_is_not_that_flow() {
    let handle = connect();
    create(&handle, new(tcp(1))).await;
    let other = create(&handle, new(tcp(2))).await;
    let id = other.id.expect("an id");
    assert!(is_gone(&handle, FlowKey::from(tcp(1)).id(id)).await);
    assert!(!is_gone(&handle, FlowKey::from(tcp(2)).id(id)).await);
    let (gone, successor) = succession(&handle, udp(1)).await;
    assert!(is_gone(&handle, &gone).await);
    assert_eq!(got(&handle, &successor).await.id, successor.id);
}
