//! `-U`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ctnetlink::{Change, ConntrackHandle, Flow, FlowKey, Masked, Patch, ProtoInfo, Status, Table};
use futures::{StreamExt, TryStreamExt};

use super::create::protoinfo;
use super::delete::{counted, progress};
use super::failure::Result;
use super::line::Line;
use super::list::{printer, some};
use super::matching::Matching;
use super::summary;

/// The number of flows that are changed and printed at a time.
const AT_ONCE: usize = 1024;

const SETTABLE: Status = Status::SEEN_REPLY
    .union(Status::ASSURED)
    .union(Status::FIXED_TIMEOUT);

/// Changes the flows that match, and prints each after its change.
pub(crate) async fn update(handle: &ConntrackHandle, mut line: Line, silent: bool) -> Result<()> {
    let mut printer = printer(&mut line);
    let matching = Matching::of(line);
    let mut list = handle
        .list(Table::Conntrack)
        .filter(matching.filter.clone());
    if let Some(family) = matching.family() {
        list = list.family(family);
    }
    let mut flows = list.await?.try_chunks(AT_ONCE);
    let mut updated = 0;
    while let Some(chunk) = flows.next().await {
        let chunk = chunk.map_err(|stopped| stopped.1)?;
        let wanted = chunk.iter().filter(|flow| matching.matches(flow));
        let changes: Vec<_> = wanted
            .filter_map(|flow| Some((FlowKey::from(flow), patch(matching.line(), flow)?)))
            .map(|(key, patch)| Change::update(key, patch))
            .collect();
        if changes.is_empty() {
            continue;
        }
        let done = Arc::new(Mutex::new(Vec::new()));
        let made = done.clone();
        let bulk = handle.bulk(changes).on_item(move |change, outcome| {
            if outcome.is_applied() {
                made.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(change.key());
            }
        });
        let report = bulk.on_progress(progress("updated")).await?;
        let keys = std::mem::take(&mut *done.lock().unwrap_or_else(PoisonError::into_inner));
        let mut found = handle.get_many(keys).await?;
        while let Some((_, flow)) = found.try_next().await? {
            if let Some(flow) = flow {
                printer.changed_flow("-A", &flow)?;
            }
        }
        printer.flush()?;
        updated += counted(report)?;
    }
    if !silent {
        summary(updated, "flow entries have been updated");
        some(updated)?;
    }
    Ok(())
}

/// The changes for this flow, if there are any.
fn patch(line: &Line, flow: &Flow) -> Option<Patch> {
    let mut patch = Patch::new();
    if let Some(seconds) = line.timeout {
        if flow.timeout.map(|left| left.as_secs()) != Some(seconds.into()) {
            patch = patch.timeout(Duration::from_secs(seconds.into()));
        }
    }
    if let Some((value, mask)) = line.mark {
        let before = flow.mark.unwrap_or_default();
        let after = before & !mask ^ value;
        if after != before {
            patch = patch.mark(Masked::from(after));
        }
    }
    if let Some((status, _)) = line.status {
        let new = (status & SETTABLE).difference(flow.status);
        if !new.is_empty() {
            patch = patch.status(new);
        }
    }
    // Labels count as a change, even if the flow has them already.
    if !line.labels_added.is_empty() {
        patch = patch.add_labels(line.labels_added);
    }
    if !line.labels_removed.is_empty() {
        patch = patch.remove_labels(line.labels_removed);
    }
    if let Some(info) = protoinfo(line, flow.orig.protocol().number()) {
        if state(&info) != flow.protoinfo.as_ref().and_then(state) {
            patch = patch.protoinfo(info);
        }
    }
    (!patch.is_empty()).then_some(patch)
}

fn state(info: &ProtoInfo) -> Option<u8> {
    match info {
        ProtoInfo::Tcp(info) => Some(info.state.number()),
        ProtoInfo::Sctp(info) => Some(info.state.number()),
        ProtoInfo::Dccp(info) => Some(info.state.number()),
        _ => None,
    }
}
