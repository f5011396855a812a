//! Many reads: each has the result of a get, in the order of the keys.

use ctnetlink::{Flow, FlowKey, FoundStream, Nat, NewFlow, SeqAdj, Status, SynProxy, Tuple, Zone};
use futures::channel::mpsc;
use futures::stream::FusedStream;
use futures::{StreamExt, TryStreamExt, stream};
use libtest_mimic::Trial;

use super::{connect, fill, found, udp};
use crate::forger::{drops, new_port, ports};
use crate::support::nft;
use crate::verbs::{HOUR, all_protocols, label, list, succession, tcp, v4};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["bulk::reads":
        in_the_order_of_the_keys,
        each_is_what_a_get_gives,
        a_flow_is_named_exactly,
        large_flows,
        keys_that_come_one_by_one,
        the_end_is_told_once_and_for_all,
    ]
}

async fn in_the_order_of_the_keys() {
    const ALL: u16 = 3000;
    let handle = connect();
    fill(&handle, ALL).await;
    handle.set_mark(udp(7), 7).await.expect("a mark");
    // Keys of flows that are in the table and of others, some of them repeated.
    let keys = || (0..2 * ALL).map(|n| if n % 5 == 0 { 7 } else { n * 7 % (2 * ALL) });
    let stream = handle.get_many_stream(stream::iter(keys().map(udp)));
    for found in [handle.get_many(keys().map(udp)), stream] {
        let found = found.await.expect("a stream");
        let found: Vec<_> = found.try_collect().await.expect("flows");
        assert_eq!(found.len(), 2 * usize::from(ALL));
        for (n, (key, flow)) in keys().zip(found) {
            assert_eq!(key, udp(n).into());
            assert_eq!(flow.is_some(), n < ALL, "{n}");
            if let Some(flow) = flow {
                let mark = if n == 7 { 7 } else { 0 };
                assert_eq!((flow.orig, flow.mark), (udp(n), Some(mark)));
            }
        }
    }
}

/// Times change between two reads.
fn without_times(flow: Option<Flow>) -> Option<Flow> {
    flow.map(|mut flow| {
        flow.timeout = None;
        flow
    })
}

/// Keys of each kind for the flow. Most of them name no flow.
fn keys(flow: &Flow, other: &Flow) -> Vec<FlowKey> {
    let both = [FlowKey::from(flow.orig), FlowKey::reply(flow.reply)];
    let crossed = [FlowKey::reply(flow.orig), FlowKey::from(flow.reply)];
    let ids = [flow.id, other.id].map(|id| id.expect("an id"));
    let zones = [flow.zone, other.zone, Zone::new(99)];
    let mut keys = Vec::new();
    for key in both.into_iter().chain(crossed) {
        for zone in zones {
            keys.push(key.zone(zone));
            keys.extend(ids.map(|id| key.zone(zone).id(id)));
        }
    }
    keys
}

async fn each_is_what_a_get_gives() {
    let handle = connect();
    let zones = [Zone::default(), Zone::new(5), Zone::orig(6), Zone::reply(7)];
    for (n, zone) in (1..).zip(zones) {
        for tuple in all_protocols(n) {
            let flow = NewFlow::new(tuple, HOUR).zone(zone).mark(u32::from(n));
            handle.create(flow).await.expect("a flow");
        }
    }
    let flows = list(&handle).await;
    let others = flows.iter().cycle().skip(1);
    let keys = flows
        .iter()
        .zip(others)
        .flat_map(|(flow, other)| keys(flow, other));
    let keys: Vec<_> = keys.collect();
    let many = found(&handle, keys.clone()).await;
    assert_eq!(many.len(), keys.len());
    let mut there = 0;
    for (key, flow) in keys.into_iter().zip(many) {
        let one = handle.get(key).await.expect("an answer");
        there += usize::from(one.is_some());
        assert_eq!(without_times(flow), without_times(one), "{key:?}");
    }
    assert!(there >= 4 * flows.len(), "{there} of {}", flows.len());
}

async fn a_flow_is_named_exactly() {
    let handle = connect();
    let (first, second) = succession(&handle, udp(1)).await;
    let keys = [
        FlowKey::from(&first),
        FlowKey::from(&second),
        FlowKey::from(udp(1)),
        FlowKey::from(udp(1).inverse()),
        FlowKey::reply(udp(1)),
        FlowKey::reply(udp(1).inverse()),
        FlowKey::from(udp(1)).zone(5),
    ];
    let found = found(&handle, keys).await.into_iter();
    let ids: Vec<_> = found.map(|flow| flow.and_then(|flow| flow.id)).collect();
    let there = second.id;
    assert_eq!(ids, [None, there, there, None, None, there, None]);
}

/// A flow with every attribute.
fn large(n: u8) -> NewFlow {
    let seqadj = SeqAdj::new(1, 2, 3);
    let synproxy = SynProxy::new(1, 2, 3);
    NewFlow::new(tcp(n), HOUR)
        .zone(5)
        .mark(u32::from(n))
        .labels(label(127))
        .status(Status::SEEN_REPLY | Status::ASSURED)
        .helper("ftp")
        .master(tcp(0))
        .source_nat(Nat::to(v4(251)).port(1000 + u16::from(n)))
        .seqadj_orig(seqadj)
        .seqadj_reply(seqadj)
        .synproxy(synproxy)
}

/// Every answer has room in the queue, whatever its size is.
async fn large_flows() {
    nft::labels().expect("a rule that uses labels");
    let handle = connect();
    let master = NewFlow::new(tcp(0), HOUR).zone(5);
    handle.create(master).await.expect("a flow");
    for n in 1..=200 {
        handle.create(large(n)).await.expect("a flow");
    }
    let key = |n: u8| FlowKey::from(tcp(n)).zone(5);
    let mut one_by_one = Vec::new();
    for n in 0..=210 {
        one_by_one.push(without_times(handle.get(key(n)).await.expect("an answer")));
    }
    let flow = one_by_one[1].as_ref().expect("a flow");
    assert!(flow.helper().is_some() && flow.labels.is_some() && flow.timestamp().is_some());
    assert!(flow.master().is_some() && flow.seqadj_reply().is_some());
    assert!(flow.status.contains(Status::SRC_NAT));
    for size in [
        None,
        Some(0),
        Some(2000),
        Some(4096),
        Some(10_000),
        Some(60_000),
    ] {
        let options = ctnetlink::Options::new();
        let options = match size {
            Some(bytes) => options.receive_buffer(bytes),
            None => options,
        };
        let handle = options.connect().await.expect("a connection");
        let others = ports();
        let keys = (0..=210).map(move |n| {
            if n == 210 {
                assert_eq!(drops(new_port(&others)), 0, "{size:?}");
            }
            key(n)
        });
        let many = found(&handle, keys).await.into_iter();
        let many: Vec<_> = many.map(without_times).collect();
        assert!(many == one_by_one, "{size:?}");
    }
}

/// The source gives the next key only after the flow of the previous key was read.
async fn keys_that_come_one_by_one() {
    let handle = connect();
    fill(&handle, 50).await;
    let (mut sender, receiver) = mpsc::channel::<Tuple>(0);
    sender.try_send(udp(0)).expect("room for one");
    let mut found = handle.get_many_stream(receiver).await.expect("a stream");
    for n in 0..100 {
        let (key, flow) = found.next().await.expect("an item").expect("a flow");
        assert_eq!((key, flow.is_some()), (udp(n).into(), n < 50));
        sender.try_send(udp(n + 1)).expect("room for one");
    }
    drop(sender);
    assert_eq!(found.count().await, 1);
}

async fn ends(mut found: FoundStream, items: usize) {
    for _ in 0..items {
        assert!(!found.is_terminated());
        found.next().await.expect("an item").expect("a flow");
    }
    for _ in 0..3 {
        assert!(found.next().await.is_none());
        assert!(found.is_terminated());
    }
}

async fn the_end_is_told_once_and_for_all() {
    let handle = connect();
    fill(&handle, 130).await;
    for items in [0, 1, 63, 64, 65, 128, 130] {
        let keys = || (0..items).map(udp);
        let found = handle.get_many(keys()).await.expect("a stream");
        ends(found, items.into()).await;
        let found = handle.get_many_stream(stream::iter(keys())).await;
        ends(found.expect("a stream"), items.into()).await;
    }
}
