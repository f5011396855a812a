//! Deletes, updates and flushes by a filter on the running kernel: they affect exactly the flows
//! that match.

mod cancel;
mod change;
mod delete;
mod elsewhere;
mod flush;
mod refused;
mod sent;
mod successors;
mod update;
mod zones;

use ctnetlink::{Change, ConntrackHandle, Filter, Flow, FlowKey, Report, Result, Table};
use futures::TryStreamExt;
use libtest_mimic::Trial;

use crate::filter::conditions::{self, Condition};
use crate::filter::truth::{ids, release, table};

pub(crate) fn tests() -> Vec<Trial> {
    [
        cancel::tests,
        change::tests,
        delete::tests,
        elsewhere::tests,
        flush::tests,
        refused::tests,
        sent::tests,
        successors::tests,
        update::tests,
        zones::tests,
    ]
    .into_iter()
    .flat_map(|tests| tests())
    .collect()
}

fn build(conditions: &[&Condition]) -> Result<Filter> {
    let filter = conditions
        .iter()
        .fold(Filter::builder(), |filter, one| (one.add)(filter));
    filter.build()
}

fn named<const N: usize>(names: [&str; N]) -> [Condition; N] {
    names.map(|name| {
        let found = conditions::all().into_iter().find(|it| it.name == name);
        found.expect(name)
    })
}

/// Does this kernel compare conditions in a flush?
fn compares_in_a_flush() -> bool {
    release() >= (6, 12)
}

async fn listed(handle: &ConntrackHandle) -> Vec<Flow> {
    let flows = handle.list(Table::Conntrack).await.expect("a stream");
    flows.try_collect().await.expect("flows")
}

/// The flows, sorted by id, without the fields that change by themselves.
fn lasting<'a>(flows: impl IntoIterator<Item = &'a Flow>) -> Vec<Flow> {
    let mut flows: Vec<_> = flows.into_iter().cloned().collect();
    for flow in &mut flows {
        flow.timeout = None;
        flow.use_count = None;
    }
    flows.sort_by_key(|flow| flow.id);
    flows
}

/// Checks that this many flows were changed, and that nothing failed.
#[track_caller]
fn all_applied(report: &Report, flows: usize, what: &str) {
    assert_eq!(report.applied, flows as u64, "{what}: {report}");
    assert_eq!(report.done(), report.applied, "{what}: {report}");
    assert!(report.failed.is_empty() && report.incomplete.is_none());
}

/// A table with every kind of flow, and its flows.
struct Stock {
    handle: ConntrackHandle,
    flows: Vec<Flow>,
}

impl Stock {
    async fn new() -> Self {
        let (handle, flows) = table().await;
        Self { handle, flows }
    }

    /// The flows for which `holds` is true, and the others.
    fn split(&self, holds: impl Fn(&Flow) -> bool) -> (Vec<Flow>, Vec<Flow>) {
        self.flows.iter().cloned().partition(|flow| holds(flow))
    }

    /// Checks that these flows are gone, and no others. Then it creates them again.
    async fn lost(&mut self, gone: &[Flow], rest: Vec<Flow>, what: &str) {
        let left = listed(&self.handle).await;
        assert_eq!(ids(&left), ids(&rest), "{what}");
        assert!(lasting(&left) == lasting(&rest), "{what}: others changed");
        let again: Vec<_> = gone.iter().map(|it| Change::Create(it.into())).collect();
        let report = self.handle.bulk(again).await.expect("a report");
        all_applied(&report, gone.len(), what);
        // Without the ids, because the new flows have other ones.
        let key = |flow: &Flow| FlowKey::orig(flow.orig).zone(flow.zone);
        let keys = gone.iter().map(key).collect();
        self.flows = rest;
        self.flows.extend(found(&self.handle, keys).await);
    }
}

async fn found(handle: &ConntrackHandle, keys: Vec<FlowKey>) -> Vec<Flow> {
    let found = handle.get_many(keys).await.expect("a stream");
    let found: Vec<_> = found.try_collect().await.expect("answers");
    let flows = found.into_iter().map(|(key, flow)| flow.ok_or(key));
    flows
        .collect::<std::result::Result<_, _>>()
        .expect("all flows")
}
