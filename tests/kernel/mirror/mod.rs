//! The mirror is equal to the table, whatever is lost.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ctnetlink::{
    Change, ConntrackHandle, Delta, Filter, Flow, FlowKey, Labels, MirrorReader, NewFlow, Options,
    Patch, Report, RequestFuture, SyncCause, Table, Tuple, Zone,
};
use futures::{StreamExt, TryStreamExt};
use libtest_mimic::Trial;
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::common::{connect, fill, namespace, new, udp, until};
use crate::support::namespace::sysctl;
use crate::support::{nft, patience};

pub(crate) fn tests() -> Vec<Trial> {
    crate::trials!["mirror":
        a_storm_and_then_quiet,
        decisions_on_views_that_are_in_sync,
        flows_older_than_the_mirror_and_a_flush,
        flows_without_events,
        a_filter_on_what_changes,
        a_limit,
        labels_are_those_of_the_table,
        a_namespace_without_a_name,
    ]
}

/// Room for 166 events.
const SMALL: usize = 212_992 / 2;

type Store = HashMap<(Tuple, Zone), Flow>;

/// The flows according to the deltas of a mirror.
#[derive(Debug, Default)]
struct Told {
    store: Store,
    losses: u32,
}

/// A mirror that is polled by a task.
async fn mirror(builder: ctnetlink::MirrorBuilder) -> (MirrorReader, Arc<Mutex<Told>>) {
    let mut mirror = builder.await.expect("a mirror");
    let reader = mirror.reader();
    let told = Arc::new(Mutex::new(Told::default()));
    let shared = told.clone();
    tokio::spawn(async move {
        while let Some(delta) = mirror.next().await {
            let mut told = shared.lock().expect("a lock");
            match delta.expect("a delta") {
                Delta::Added(flow) | Delta::Updated { after: flow, .. } => {
                    told.store.insert((flow.orig, flow.zone), bare(flow));
                }
                Delta::Removed { flow, .. } => {
                    told.store.remove(&(flow.orig, flow.zone));
                }
                Delta::SyncStarted {
                    cause: SyncCause::Lost { .. },
                } => told.losses += 1,
                _ => {}
            }
        }
    });
    (reader, told)
}

/// The flow without the fields that change without an event.
fn bare(mut flow: Flow) -> Flow {
    flow.timeout = None;
    flow.use_count = None;
    flow.counters_orig = None;
    flow.counters_reply = None;
    flow
}

fn store(flows: impl IntoIterator<Item = Flow>) -> Store {
    let flows = flows.into_iter().map(bare);
    flows.map(|flow| ((flow.orig, flow.zone), flow)).collect()
}

async fn listed(handle: &ConntrackHandle, filter: &Filter) -> Store {
    let flows = handle.list(Table::Conntrack).filter(filter.clone());
    let flows: Vec<_> = flows
        .await
        .expect("a list")
        .try_collect()
        .await
        .expect("flows");
    store(flows)
}

async fn in_sync(reader: &MirrorReader) {
    until(|| reader.is_synced(), || format!("{reader:?}")).await;
}

/// Checks that a mirror in sync, and the flows according to its deltas, equal a list.
async fn equal(
    handle: &ConntrackHandle,
    reader: &MirrorReader,
    told: &Mutex<Told>,
    filter: &Filter,
) {
    in_sync(reader).await;
    let listed = listed(handle, filter).await;
    let held = store(reader.snapshot());
    let differ = |of: &Store| {
        let one = listed
            .iter()
            .filter(|(key, flow)| of.get(key) != Some(flow));
        one.count() + of.keys().filter(|key| !listed.contains_key(key)).count()
    };
    assert_eq!(differ(&held), 0, "{} flows", listed.len());
    assert_eq!(differ(&told.lock().expect("a lock").store), 0, "the deltas");
    for flow in held.values() {
        let found = reader.get(FlowKey::reply(flow.reply).zone(flow.zone));
        assert_eq!(found.map(bare).as_ref(), Some(flow));
    }
}

async fn a_storm_and_then_quiet() {
    sysctl("nf_conntrack_events", "1").expect("a setting");
    let handle = connect();
    let (reader, told) = mirror(handle.mirror().receive_buffer(SMALL)).await;
    for round in 0..10u16 {
        let create = (0..3000).map(|n| Change::Create(new(n)));
        let mark = (0..3000).map(move |n| {
            Change::Update(udp(n).into(), Patch::new().mark(u32::from(n % 7 + round)))
        });
        let delete = (0..3000)
            .filter(move |n| n % 10 != round)
            .map(|n| Change::Delete(udp(n).into()));
        let changes = handle.bulk(create.chain(mark).chain(delete)).into_future();
        let report = match round {
            // Nothing reads meanwhile, so the queue overflows.
            0 => futures::executor::block_on(changes),
            _ => changes.await,
        };
        assert!(report.expect("a report").failed.is_empty());
        equal(&handle, &reader, &told, &Filter::default()).await;
    }
    let losses = told.lock().expect("a lock").losses;
    assert!(losses > 0, "nothing was lost");
}

/// Changes a flow, and looks it up in the mirror as soon as the mirror is in sync.
async fn decisions_on_views_that_are_in_sync() {
    let decisions = patience::rounds(10_000);
    sysctl("nf_conntrack_events", "1").expect("a setting");
    let handle = connect();
    let (reader, told) = mirror(handle.mirror().receive_buffer(SMALL)).await;
    in_sync(&reader).await;
    let (mut decided, mut turn, mut is_there) = (0, 0, [false; 100]);
    while decided < decisions {
        if turn % 2000 == 0 {
            // Nobody reads meanwhile: more than the queue has room for.
            let report = futures::executor::block_on(noise(&handle)).expect("a report");
            assert!(report.failed.is_empty(), "{report:?}");
        }
        let beside = (turn % 500 == 0).then(|| tokio::spawn(noise(&handle)));
        for _ in 0..100 {
            turn += 1;
            let n = turn * 7 % is_there.len();
            let of = udp(n as u16);
            match is_there[n] {
                false => handle.create(new(n as u16)).await.expect("a flow"),
                true => handle.delete(of).await.expect("its end"),
            }
            is_there[n] = !is_there[n];
            for _ in 0..4 {
                if reader.is_synced() {
                    assert_eq!(reader.get(of).is_some(), is_there[n], "turn {turn}");
                    decided += 1;
                }
                yield_now().await;
            }
        }
        if let Some(noise) = beside {
            let report = noise.await.expect("a task").expect("a report");
            assert!(report.failed.is_empty(), "{report:?}");
        }
        in_sync(&reader).await;
    }
    let losses = told.lock().expect("a lock").losses;
    assert!(losses > 0, "nothing was lost; {decided} decisions");
}

/// Flows that begin and end.
fn noise(handle: &ConntrackHandle) -> RequestFuture<Report> {
    let changes =
        (1000..2000).flat_map(|n| [Change::Create(new(n)), Change::Delete(udp(n).into())]);
    handle.bulk(changes).into_future()
}

/// The events of changes contain the labels, unless all were cleared.
async fn labels_are_those_of_the_table() {
    sysctl("nf_conntrack_events", "1").expect("a setting");
    let _rule = nft::labels().expect("a rule");
    let handle = connect();
    fill(&handle, 5).await;
    let (reader, told) = mirror(handle.mirror()).await;
    in_sync(&reader).await;
    let label = |bit| Labels::bit(bit).expect("a label");
    for (n, labels) in [(1, label(3)), (2, label(100)), (1, label(3) | label(4))] {
        handle.set_labels(udp(n), labels).await.expect("labels");
        equal(&handle, &reader, &told, &Filter::default()).await;
        let held = reader.get(udp(n)).and_then(|flow| flow.labels);
        assert_eq!(held, Some(labels));
    }
    let none = Labels::default();
    handle.set_labels(udp(1), none).await.expect("labels");
    equal(&handle, &reader, &told, &Filter::default()).await;
    assert_eq!(reader.get(udp(1)).expect("the flow").labels, None);
    let with = Filter::builder().has_labels(label(100)).build();
    assert_eq!(reader.find(&with.expect("a filter")).count(), 1);
}

/// A socket keeps its namespace, so the mirror works although the namespace has no name and no
/// process.
async fn a_namespace_without_a_name() {
    let namespace = namespace();
    let options = Options::new().network_namespace(&namespace);
    let (connection, handle) = options.new_connection().expect("a connection");
    tokio::spawn(connection);
    let (reader, told) = mirror(handle.mirror()).await;
    in_sync(&reader).await;
    drop(namespace);
    fill(&handle, 20).await;
    equal(&handle, &reader, &told, &Filter::default()).await;
    assert_eq!(reader.len(), 20);
    handle.flush(Table::Conntrack).await.expect("a flush");
    in_sync(&reader).await;
    assert!(reader.is_empty());
}

async fn flows_older_than_the_mirror_and_a_flush() {
    sysctl("nf_conntrack_events", "1").expect("a setting");
    let handle = connect();
    fill(&handle, 100).await;
    let (reader, told) = mirror(handle.mirror()).await;
    reader.synced().await.expect("a mirror");
    equal(&handle, &reader, &told, &Filter::default()).await;
    assert_eq!(reader.len(), 100);
    assert_eq!((reader.counts().ipv4, reader.counts().ipv6), (100, 0));
    handle.flush(Table::Conntrack).await.expect("a flush");
    in_sync(&reader).await;
    assert!(reader.is_empty());
    assert!(reader.get_fresh(udp(1)).await.expect("an answer").is_none());
}

/// With 0, no flow makes events. The mirror still notices the ends of known flows.
async fn flows_without_events() {
    for events in ["0", "2"] {
        sysctl("nf_conntrack_events", events).expect("a setting");
        let handle = connect();
        fill(&handle, 10).await;
        let mirror = handle.mirror().recheck(Duration::from_secs(1));
        let (reader, _told) = self::mirror(mirror).await;
        reader.synced().await.expect("a mirror");
        assert_eq!(reader.len(), 10);
        handle.set_mark(udp(1), 7).await.expect("a mark");
        handle.delete(udp(2)).await.expect("its end");
        let is_so = || {
            reader.get(udp(2)).is_none() && reader.get(udp(1)).is_some_and(|it| it.mark == Some(7))
        };
        until(is_so, || format!("{reader:?}")).await;
        handle.flush(Table::Conntrack).await.expect("a flush");
        until(|| reader.is_empty(), || format!("{reader:?}")).await;
    }
}

async fn a_filter_on_what_changes() {
    sysctl("nf_conntrack_events", "1").expect("a setting");
    let handle = connect();
    fill(&handle, 10).await;
    let filter = Filter::builder().mark(5).build().expect("a filter");
    let (reader, told) = mirror(handle.mirror().filter(filter.clone())).await;
    equal(&handle, &reader, &told, &filter).await;
    assert!(reader.is_empty());
    for n in 0..4 {
        handle.set_mark(udp(n), 5).await.expect("a mark");
    }
    equal(&handle, &reader, &told, &filter).await;
    assert_eq!(reader.len(), 4);
    handle.set_mark(udp(1), 0).await.expect("a mark");
    handle
        .create(NewFlow::new(udp(50), Duration::from_secs(60)).mark(5))
        .await
        .expect("a flow");
    equal(&handle, &reader, &told, &filter).await;
    assert_eq!(reader.len(), 4);
    assert!(reader.get(udp(1)).is_none());
}

async fn a_limit() {
    sysctl("nf_conntrack_events", "1").expect("a setting");
    let handle = connect();
    fill(&handle, 100).await;
    let (reader, told) = mirror(handle.mirror().limit(50)).await;
    until(|| reader.len() == 50, || format!("{reader:?}")).await;
    sleep(Duration::from_millis(500)).await;
    assert!(!reader.is_synced(), "half of it is left out");
    let most = (0..90).map(|n| Change::Delete(udp(n).into()));
    assert_eq!(handle.bulk(most).await.expect("a report").applied, 90);
    equal(&handle, &reader, &told, &Filter::default()).await;
    assert_eq!(reader.len(), 10);
}
