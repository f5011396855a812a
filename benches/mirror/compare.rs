//! Compares tables by all attributes except timeouts and counters.

use std::collections::HashMap;

use ctnetlink::{ConntrackHandle, Flow, Table, Tuple, Zone};
use futures::TryStreamExt;

pub(crate) type Store = HashMap<(Tuple, Zone), Flow>;

/// The flows of a list.
pub(crate) async fn table(handle: &ConntrackHandle) -> Store {
    let flows = handle.list(Table::Conntrack).await.expect("a list");
    store(flows.try_collect().await.expect("flows"))
}

pub(crate) fn store(flows: Vec<Flow>) -> Store {
    let mut store = Store::new();
    flows.into_iter().for_each(|flow| put(&mut store, flow));
    store
}

pub(crate) fn put(store: &mut Store, mut flow: Flow) {
    flow.timeout = None;
    flow.use_count = None;
    flow.counters_orig = None;
    flow.counters_reply = None;
    store.insert((flow.orig, flow.zone), flow);
}

/// The number of flows in which the two differ.
pub(crate) fn differences(listed: &Store, held: &Store) -> usize {
    let other = listed
        .iter()
        .filter(|(key, flow)| held.get(*key) != Some(*flow));
    let more = held.keys().filter(|key| !listed.contains_key(*key));
    other.count() + more.count()
}
