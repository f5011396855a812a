//! Many changes and many reads: the bulk lane on the running kernel.

mod ahead;
mod beside;
mod cancel;
mod changes;
mod failures;
mod lazy;
mod order;
mod panics;
mod queue;
mod reading;
mod reads;
mod rights;
mod sequences;
mod sources;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ctnetlink::{Change, ConntrackHandle, Flow, FlowKey, Patch, Report, Result};
use futures::TryStreamExt;
use libtest_mimic::Trial;

use crate::common::{connect, fill, new, udp, until};
use crate::support::count;

/// The maximum number of changes or reads in one send.
const BATCH: usize = 64;

/// The maximum number of changes that are taken from the source and not made yet: those of the next
/// sends and of the current one.
const AHEAD: u64 = 9 * BATCH as u64;

/// The name of the threads that make changes.
const BULK: &str = "ctnetlink-bulk";
/// The name of the threads that take many changes from their source.
const AHEAD_THREAD: &str = "ctnetlink-ahead";

pub(crate) fn tests() -> Vec<Trial> {
    [
        ahead::tests,
        beside::tests,
        cancel::tests,
        changes::tests,
        failures::tests,
        lazy::tests,
        order::tests,
        panics::tests,
        queue::tests,
        reading::tests,
        reads::tests,
        rights::tests,
        sequences::tests,
        sources::tests,
    ]
    .into_iter()
    .flat_map(|tests| tests())
    .collect()
}

fn mark(n: u16, mark: u32) -> Change {
    Change::Update(udp(n).into(), Patch::new().mark(mark))
}

/// Runs a bulk request, which must complete.
async fn bulk(
    handle: &ConntrackHandle,
    changes: impl IntoIterator<Item = Change, IntoIter: Send + 'static>,
) -> Report {
    handle.bulk(changes).await.expect("a report")
}

/// Makes the change with its own verb.
async fn by_its_verb(handle: &ConntrackHandle, change: Change) -> Result<()> {
    match change {
        Change::Create(flow) => handle.create(flow).await,
        Change::Update(key, patch) => handle.update(key).patch(patch).await,
        Change::Delete(key) => handle.delete(key).await,
        other => unreachable!("{other:?}"),
    }
}

/// The numbers of changes that were applied, gone, and failed.
fn counts(report: &Report) -> (u64, u64, u64) {
    (report.applied, report.gone, report.failed_total)
}

/// The flows of all keys. Each must have an answer.
async fn found(
    handle: &ConntrackHandle,
    keys: impl IntoIterator<Item: Into<FlowKey> + 'static, IntoIter: Send + 'static>,
) -> Vec<Option<Flow>> {
    let found = handle.get_many(keys).await.expect("a stream");
    let flows = found.map_ok(|(_, flow)| flow).try_collect();
    flows.await.expect("flows")
}

/// The marks of these flows; `None` for a flow that is not in the table.
async fn marks(handle: &ConntrackHandle, flows: std::ops::Range<u16>) -> Vec<Option<u32>> {
    let flows = found(handle, flows.map(udp)).await;
    let marks = flows.into_iter();
    marks
        .map(|flow| flow.map(|flow| flow.mark.expect("a mark")))
        .collect()
}

/// Counts the items that are taken from it.
fn counted<T>(items: impl IntoIterator<Item = T>) -> (impl Iterator<Item = T>, Arc<AtomicU64>) {
    let taken = Arc::new(AtomicU64::new(0));
    let count = taken.clone();
    let items = items.into_iter().inspect(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    (items, taken)
}

/// Waits until the threads have ended, so that no more changes are made.
async fn ended() {
    let threads = || count::threads_named(BULK) + count::threads_named(AHEAD_THREAD);
    until(|| threads() == 0, || "it goes on".into()).await;
}
