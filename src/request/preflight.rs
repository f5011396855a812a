//! Preflight: asks the kernel and reads settings, and changes nothing.

mod hooks;
mod labels;
mod settings;

use std::sync::Arc;

use super::flush::HONOURS_FAMILY;
use super::{RequestFuture, Task, Verb};
use crate::error::{ErrorKind, Result};
use crate::filter::KernelFilter;
use crate::filter::kernel::Capabilities;
use crate::flow::Family;
use crate::preflight::{Facts, Preflight};
use crate::stats::TableStats;
use crate::transport::Lanes;
use crate::wire::message::Request;
use crate::wire::uapi::*;

const PREFLIGHT: Verb = Verb {
    name: "preflight",
    doing: "looking at what is here",
};

/// A name that no object has.
const NO_SUCH_NAME: &str = "ctnetlink?";

pub(crate) fn preflight(lanes: Arc<Lanes>) -> RequestFuture<Preflight> {
    PREFLIGHT.run(lanes, None, |task| async move {
        let release = (task.lanes.release.0, task.lanes.release.1);
        let mut facts = Facts {
            release,
            ..Facts::default()
        };
        let can = Capabilities::of(release);
        facts.list_filter = in_list(can);
        facts.flush_filter = in_flush(can, task.lanes.release >= HONOURS_FAMILY);
        settings::read(&task.lanes.namespace, &mut facts).await?;
        let stats = task
            .call(Request::new(IPCTNL_MSG_CT_GET_STATS, 0, AF_UNSPEC))
            .await;
        facts.allowed = is_allowed(&stats);
        if let Ok(Some(data)) = &stats {
            facts.stats = TableStats::from_message(data).ok();
        }
        facts.ctnetlink = is_there(stats)?;
        if facts.allowed == Some(true) {
            facts.cttimeout = has(&task, IPCTNL_MSG_TIMEOUT_GET, CTA_TIMEOUT_NAME).await?;
            facts.cthelper = has(&task, NFNL_MSG_CTHELPER_GET, NFCTH_NAME).await?;
            facts.tracks_ipv4 = hooks::tracks(&task, Family::Ipv4).await?;
            facts.tracks_ipv6 = hooks::tracks(&task, Family::Ipv6).await?;
            facts.labels = labels::are_set(&task).await?;
        }
        Ok(Preflight::new(facts))
    })
}

/// The conditions that a kernel compares in a list. It always compares the family and the mark.
fn in_list(can: Capabilities) -> KernelFilter {
    compared(can.status, can.zone, can.tuples)
}

/// The conditions that a kernel compares in a flush.
fn in_flush(can: Capabilities, has_family: bool) -> KernelFilter {
    let mut filter = compared(can.flush, can.flush, false);
    filter.set(KernelFilter::FAMILY, has_family);
    filter.set(KernelFilter::MARK, can.flush);
    filter
}

fn compared(status: bool, zone: bool, tuples: bool) -> KernelFilter {
    let mut filter = KernelFilter::FAMILY | KernelFilter::MARK;
    filter.set(KernelFilter::STATUS, status);
    filter.set(KernelFilter::ZONE, zone);
    if tuples {
        // No kernel compares nested filters in a list.
        let nested = KernelFilter::ANY_OF | KernelFilter::NOT;
        filter |= KernelFilter::all() - KernelFilter::STATUS - KernelFilter::ZONE - nested;
    }
    filter
}

/// Does the kernel have the subsystem? To find out, this asks for an object that does not exist.
async fn has(task: &Task, kind: u16, name: u16) -> Result<Option<bool>> {
    let request = Request::new(kind, 0, AF_UNSPEC);
    let name = |w: &mut crate::wire::attr::Writer<'_>| w.put(name, &Box::<str>::from(NO_SUCH_NAME));
    is_there(task.call(request.with(name)).await)
}

fn is_allowed<T>(answer: &Result<T>) -> Option<bool> {
    match answer {
        Err(error) if error.errno() == Some(EPERM) => Some(false),
        Err(error) if error.kind() == ErrorKind::Io => None,
        _ => Some(true),
    }
}

/// The errno of an unknown subsystem is EINVAL. An answer that cannot be decoded means that it is
/// unknown. An error that is not the kernel's answer is returned.
fn is_there<T>(answer: Result<T>) -> Result<Option<bool>> {
    match answer {
        Ok(_) => Ok(Some(true)),
        Err(error) => match error.errno() {
            Some(EINVAL | EOPNOTSUPP) => Ok(Some(false)),
            Some(EPERM) => Ok(None),
            Some(_) => Ok(Some(true)),
            None if error.kind() == ErrorKind::Decode => Ok(None),
            None => Err(error),
        },
    }
}

#[cfg(test)]
mod tests;
