//! Flush: removes all flows, those of one family, or those that match.

use std::future::IntoFuture;
use std::sync::Arc;

use super::list::one_family;
use super::{RequestFuture, Table, Task, Verb, matching};
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::filter::kernel::{Capabilities, RequestFilter};
use crate::flow::Family;
use crate::transport::Lanes;
use crate::transport::release::Release;
use crate::transport::walk::SEQ;
use crate::wire::message::{Frame, Request};
use crate::wire::uapi::*;

const FLUSH: Verb = Verb {
    name: "flush",
    doing: "flushing the table",
};

/// The first release whose flush compares the family (ctnetlink_flush_conntrack).
pub(super) const HONOURS_FAMILY: Release = Release(5, 3);

/// Awaiting it gives `()` once the flows are gone. `.into_future()` gives the future itself, for
/// `tokio::spawn`, `block_on`, `join_all` and `FuturesUnordered`.
///
/// See [`ConntrackHandle::flush`](crate::ConntrackHandle::flush).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent before it is awaited"]
pub struct Flush {
    lanes: Arc<Lanes>,
    table: Table,
    family: Option<Family>,
    filter: Option<Filter>,
}

impl Flush {
    pub(crate) fn new(lanes: Arc<Lanes>, table: Table) -> Self {
        Self {
            lanes,
            table,
            family: None,
            filter: None,
        }
    }

    /// Removes only this family, `-f`. Without it, both are removed.
    ///
    /// Before Linux 5.3 the kernel would remove both. There the flows are listed, and deleted one
    /// by one.
    pub fn family(mut self, family: Family) -> Self {
        self.family = Some(family);
        self
    }

    /// Removes only flows that match, `-D` with `-m`, `-w` and the others. A second call replaces the
    /// filter.
    ///
    /// `CTA_MARK`, `CTA_STATUS` and `CTA_ZONE` with their masks, and `CTA_FILTER` (Linux 6.12). If the
    /// kernel can compare the whole filter in a flush (family, mark, status and zone), this is one
    /// request. Otherwise the flows are listed and those that match are deleted, as by
    /// [`delete_matching`](crate::ConntrackHandle::delete_matching).
    ///
    /// # Errors
    ///
    /// An empty filter is refused, as [`InvalidInput`](crate::ErrorKind::InvalidInput): to remove
    /// all flows, set no filter.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::{Filter, Table};
    ///
    /// let tenant = Filter::builder().zone(5).build()?;
    /// handle.flush(Table::Conntrack).filter(tenant).await?;
    /// # Ok(()) }) }
    /// ```
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Decides whether the kernel can flush, or the flows must be deleted one by one.
    fn plan(&self, release: Release) -> Result<Plan> {
        if self.table != Table::Conntrack {
            return Err(Error::invalid_input(format!(
                "table: the kernel can flush only Conntrack, not {:?}",
                self.table
            )));
        }
        let Some(filter) = &self.filter else {
            return Ok(match self.family {
                Some(_) if release < HONOURS_FAMILY => Plan::OneByOne,
                family => Plan::Flush(request(family)),
            });
        };
        if filter.is_empty() {
            return Err(matching::empty());
        }
        let family = one_family(self.family, filter)?;
        let can = Capabilities::of((release.0, release.1));
        Ok(match RequestFilter::of_flush(filter, family, can) {
            Some(pushed) => Plan::Try {
                request: request(family).with(|w| pushed.write_guarded(w)),
                marks: pushed.has_mark(),
            },
            None => Plan::OneByOne,
        })
    }
}

/// How the flows are removed.
#[derive(Debug)]
enum Plan {
    /// By one request.
    Flush(Request),
    /// By one request, if the kernel accepts it, and, with `marks`, if it compares marks.
    Try { request: Request, marks: bool },
    /// By a list, and a delete for each flow.
    OneByOne,
}

/// Family 0 means both, also with a `CTA_FILTER`, which needs a family only for tuples
/// (ctnetlink_alloc_filter).
fn request(family: Option<Family>) -> Request {
    let family = family.map_or(AF_UNSPEC, Family::number);
    // With version 0 the kernel would ignore the family, and remove all flows.
    Request::new(IPCTNL_MSG_CT_DELETE, 0, family).version(NFNETLINK_V1)
}

/// A list request with the mask of a mark, and no mark. A kernel that compares marks refuses it
/// before it walks (ctnetlink_filter_parse_mark). A kernel that was built without marks ignores the
/// mask, as it would ignore the mark of a flush.
fn probe_of_marks() -> Request {
    Request::new(IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_INET).with(|w| w.put(CTA_MARK_MASK, &u32::MAX))
}

async fn compares_marks(task: &Task) -> Result<bool> {
    let (_, first) = task.walk(probe_of_marks()).await?;
    let mut verdicts = Frame::all(&first).filter(|frame| frame.is_verdict_of(SEQ));
    let verdict = verdicts.next().and_then(|frame| frame.verdict());
    Ok(verdict.is_some_and(|verdict| verdict.errno == EINVAL))
}

/// Flushes by the filter. Returns `false`, and removes nothing, if this kernel does not compare it.
async fn try_flush(task: &Task, request: Request, marks: bool) -> Result<bool> {
    if marks && !compares_marks(task).await? {
        return Ok(false);
    }
    match task.flush(request).await {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.errno(), Some(EINVAL | EOPNOTSUPP)) => Ok(false),
        Err(error) => Err(error),
    }
}

impl IntoFuture for Flush {
    type Output = Result<()>;
    type IntoFuture = RequestFuture<()>;

    fn into_future(self) -> RequestFuture<()> {
        let family = self
            .family
            .or(self.filter.as_ref().and_then(Filter::family));
        FLUSH.run_for_long(self.lanes.clone(), family, move |task| async move {
            if let Some(filter) = &self.filter {
                task.show("filter", filter);
            }
            let done = match self.plan(task.lanes.release)? {
                Plan::Flush(request) => task.flush(request).await.map(|()| true),
                Plan::Try { request, marks } => try_flush(&task, request, marks).await,
                Plan::OneByOne => Ok(false),
            };
            if done? {
                return Ok(());
            }
            let filter = self.filter.unwrap_or_default();
            let report = matching::delete(self.lanes, filter, self.family).await?;
            report.into_result()
        })
    }
}

#[cfg(test)]
mod tests;
