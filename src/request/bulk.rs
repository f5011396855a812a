//! Bulk: many changes, in few sends.

mod ahead;
mod batch;
pub(super) mod reader;
mod send;
pub(crate) mod source;
mod worker;

use std::fmt;
use std::future::{Future, IntoFuture};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;

use super::{Change, Outcome, Report, RequestFuture, Verb};
use crate::error::Result;
use crate::filter::KernelFilter;
use crate::transport::Lanes;
use crate::transport::bulk::Bulk as Lane;
use crate::transport::job::Caller;
use source::Source;
use worker::Worker;

const BULK: Verb = Verb {
    name: "bulk",
    doing: "changing flows",
};

/// Awaiting it gives a [`Report`]. `.into_future()` gives the future itself, for `tokio::spawn`,
/// `block_on`, `join_all` and `FuturesUnordered`.
///
/// See [`ConntrackHandle::bulk`](crate::ConntrackHandle::bulk).
#[must_use = "nothing is sent before it is awaited"]
pub struct Bulk {
    lanes: Arc<Lanes>,
    verb: Verb,
    changes: Changes,
    watch: Watch,
}

/// What is to be changed.
pub(super) enum Changes {
    These(Source<Change>),
    /// The flows that a list finds. The list starts with the request.
    Listed(Box<dyn FnOnce(Arc<Lanes>) -> Listing + Send>),
}

/// The changes of a list, and the conditions of its filter that the kernel compares.
pub(super) type Listing =
    Pin<Box<dyn Future<Output = Result<(Source<Change>, KernelFilter)>> + Send>>;

/// The caller's closures.
struct Watch {
    progress: Box<OnProgress>,
    item: Option<Box<OnItem>>,
}

type OnProgress = dyn FnMut(&Report) -> ControlFlow<()> + Send;
type OnItem = dyn FnMut(&Change, Outcome<'_>) + Send;

impl Watch {
    fn item(&mut self, change: &Change, outcome: Outcome<'_>) {
        if let Some(item) = &mut self.item {
            item(change, outcome);
        }
    }
}

impl Bulk {
    pub(crate) fn new(lanes: Arc<Lanes>, changes: Source<Change>) -> Self {
        Self::of(lanes, BULK, Changes::These(changes))
    }

    pub(super) fn of(lanes: Arc<Lanes>, verb: Verb, changes: Changes) -> Self {
        Self {
            lanes,
            verb,
            changes,
            watch: Watch {
                progress: Box::new(|_| ControlFlow::Continue(())),
                item: None,
            },
        }
    }

    /// Calls `watch` with each change and its result, in their order, for example to learn which flows
    /// were deleted.
    ///
    /// For a flow that a list found, the key is the key of that flow. `watch` runs on the thread of
    /// the bulk request, which waits for it, in the context of the caller's runtime.
    ///
    /// # Panics
    ///
    /// The future of the bulk request panics if `watch` does.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::{Filter, Outcome};
    ///
    /// let (deleted, keys) = std::sync::mpsc::channel();
    /// let report = handle
    ///     .delete_matching(Filter::builder().mark(7).build()?)
    ///     .on_item(move |change, outcome| match outcome {
    ///         Outcome::Applied => _ = deleted.send(change.key()),
    ///         Outcome::Failed(error) => eprintln!("{change}: {error}"),
    ///         _ => {}
    ///     })
    ///     .await?;
    /// assert_eq!(keys.iter().count() as u64, report.applied);
    /// # Ok(()) }) }
    /// ```
    pub fn on_item(mut self, watch: impl FnMut(&Change, Outcome<'_>) + Send + 'static) -> Self {
        self.watch.item = Some(Box::new(watch));
        self
    }

    /// Calls `watch` with the report so far, after each group of up to 64 changes. If it returns
    /// `Break`, nothing more is sent, and that report is the result.
    ///
    /// `watch` runs on the thread of the bulk request, which waits for it, in the context of the
    /// caller's runtime. It is not called while a list finds no flow that matches, or while a
    /// stream waits.
    ///
    /// # Panics
    ///
    /// The future of the bulk request panics if `watch` does.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use std::ops::ControlFlow;
    /// use ctnetlink::{Change, Tuple};
    ///
    /// let server = "10.0.0.2:53".parse()?;
    /// let keys = (1024..=u16::MAX).map(move |port| Tuple::udp(([10, 0, 0, 1], port).into(), server));
    /// let deletes = keys.flatten().map(|tuple| Change::Delete(tuple.into()));
    /// let report = handle
    ///     .bulk(deletes)
    ///     .on_progress(|report| match report.done() {
    ///         0..1000 => ControlFlow::Continue(()),
    ///         _ => ControlFlow::Break(()),
    ///     })
    ///     .await?;
    /// assert!((1000..1064).contains(&report.gone));
    /// # Ok(()) }) }
    /// ```
    pub fn on_progress(
        mut self,
        watch: impl FnMut(&Report) -> ControlFlow<()> + Send + 'static,
    ) -> Self {
        self.watch.progress = Box::new(watch);
        self
    }
}

impl IntoFuture for Bulk {
    type Output = Result<Report>;
    type IntoFuture = RequestFuture<Report>;

    fn into_future(self) -> RequestFuture<Report> {
        let Self {
            lanes,
            verb,
            changes,
            watch,
        } = self;
        verb.run_for_long(lanes, None, move |task| async move {
            let (changes, kernel_filtered) = match changes {
                Changes::These(changes) => (changes, None),
                Changes::Listed(list) => {
                    let (changes, by_kernel) = list(task.lanes.clone()).await?;
                    (changes, Some(by_kernel))
                }
            };
            let work = move |lane: &mut Lane, caller: &mut Caller| {
                let mut worker = Worker::new(lane, watch);
                worker.report.kernel_filtered = kernel_filtered;
                worker.work(changes, caller);
                worker.report
            };
            let report = task.lanes.bulk(work)?.await?;
            task.show("report", &report);
            Ok(report)
        })
    }
}

impl fmt::Debug for Bulk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulk")
            .field("verb", &self.verb.name)
            .finish_non_exhaustive()
    }
}
