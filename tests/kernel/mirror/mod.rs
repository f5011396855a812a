//! The mirror is equal to the table, whatever is lost.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ctnetlink::{
    Change, ConntrackHandle, Delta, Filter, Flow, FlowKey, MirrorReader, NewFlow, Patch, SyncCause,
};
use ctnetlink::{Table, Tuple, Zone};
use futures::{StreamExt, TryStreamExt};
use libtest_mimic::Trial;
use tokio::time::sleep;

use crate::common::{connect, fill, new, udp, until};
use crate::support::namespace::sysctl;

pub(crate) fn tests() -> Vec<Trial> {
    crate::trials!["mirror":
        a_storm_and_then_quiet,
        decisions_on_views_that_are_in_sync,
        flows_older_than_the_mirror_and_a_flush,
        flows_without_events,
        a_filter_on_what_changes,
        a_limit,
    ]
}

/// Room for 166 events.
const SMALL: usize = 212_992 / 2;

type Store = HashMap<(Tuple, Zone), Flow>;

/// What the deltas of a mirror gave.
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

/// Without what changes without an event.
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

/// In sync, the mirror and what its deltas gave are what a list gives.
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
            // Nobody reads meanwhile: more than the queue has room for.
            0 => futures::executor::block_on(changes),
            _ => changes.await,
        };
        assert!(report.expect("a report").failed.is_empty());
        equal(&handle, &reader, &told, &Filter::default()).await;
    }
    let losses = told.lock().expect("a lock").losses;
    assert!(losses > 0, "nothing was lost");
}

/// One changes a flow, and looks at it in the mirror as soon as that says that it is in sync.
async fn decisions_on_views_that_are_in_sync() {
    sysctl("nf_conntrack_events", "1").expect("a setting");
    let handle = connect();
    let (reader, told) = mirror(handle.mirror().receive_buffer(SMALL)).await;
    in_sync(&reader).await;
    let (mut decided, mut is_there) = (0, [false; 100]);
    for round in 0..10u16 {
        let noise = || {
            let changes = (1000..2000).flat_map(move |n| {
                let flow = new(n).mark(u32::from(round));
                [Change::Create(flow), Change::Delete(udp(n).into())]
            });
            handle.bulk(changes).into_future()
        };
        // Nobody reads meanwhile: more than the queue has room for.
        let report = futures::executor::block_on(noise()).expect("a report");
        assert!(report.failed.is_empty(), "{report:?}");
        let noise = tokio::spawn(noise());
        for turn in 0..1000usize {
            let n = turn * 7 % is_there.len();
            let of = udp(n as u16);
            match is_there[n] {
                false => handle.create(new(n as u16)).await.expect("a flow"),
                true => handle.delete(of).await.expect("its end"),
            }
            is_there[n] = !is_there[n];
            if turn % 100 == 0 {
                in_sync(&reader).await;
            }
            if reader.is_synced() {
                assert_eq!(reader.get(of).is_some(), is_there[n], "round {round}, {n}");
                decided += 1;
            }
        }
        let report = noise.await.expect("a task").expect("a report");
        assert!(report.failed.is_empty(), "{report:?}");
    }
    assert!(decided >= 100, "{decided}");
    let losses = told.lock().expect("a lock").losses;
    assert!(losses > 0, "nothing was lost; {decided} decisions");
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

/// With 0 no flow makes an event; those that are known have an end all the same.
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
