//! Filters on the running kernel: a filtered list has exactly the flows that match, whatever part
//! the kernel compares.

pub(crate) mod conditions;
pub(crate) mod population;
pub(crate) mod truth;
mod zones;

use ctnetlink::{ConntrackHandle, Filter, Flow, FlowStream, Table};
use futures::TryStreamExt;
use libtest_mimic::Trial;

pub(crate) fn tests() -> Vec<Trial> {
    [truth::tests, zones::tests]
        .into_iter()
        .flat_map(|tests| tests())
        .collect()
}

fn connect() -> ConntrackHandle {
    let (connection, handle) = ctnetlink::new_connection().expect("a connection");
    tokio::spawn(connection);
    handle
}

async fn filtered(handle: &ConntrackHandle, filter: Filter) -> FlowStream {
    let list = handle.list(Table::Conntrack).filter(filter.clone());
    let listed = list.await;
    listed.unwrap_or_else(|error| panic!("{filter:?}: {error}"))
}

async fn all(flows: FlowStream) -> Vec<Flow> {
    flows.try_collect().await.expect("flows")
}
