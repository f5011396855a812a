//! Bulk: many changes, in few sends.

pub(super) mod reader;
pub(crate) mod source;
mod worker;

use std::fmt;
use std::future::IntoFuture;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::matching::Matching;
use super::{Report, RequestFuture, Verb};
use crate::error::Result;
use crate::flow::{FlowKey, NewFlow, Patch};
use crate::transport::Lanes;
use crate::transport::bulk::{Bulk as Lane, Caller};
use source::Source;
use worker::Worker;

const BULK: Verb = Verb {
    name: "bulk",
    doing: "changing flows",
};

/// One change of many: see [`ConntrackHandle::bulk`](crate::ConntrackHandle::bulk).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Change {
    /// Creates a flow, as [`create`](crate::ConntrackHandle::create) does.
    Create(NewFlow),
    /// Changes a flow, as [`update`](crate::ConntrackHandle::update) does.
    Update(FlowKey, Patch),
    /// Deletes a flow, as [`delete`](crate::ConntrackHandle::delete) does.
    Delete(FlowKey),
}

impl Change {
    /// The flow that it is about.
    pub fn key(&self) -> FlowKey {
        match self {
            Self::Create(flow) => FlowKey::from(flow),
            Self::Update(key, _) | Self::Delete(key) => *key,
        }
    }
}

/// Changes to be made: see [`ConntrackHandle::bulk`](crate::ConntrackHandle::bulk).
#[must_use = "nothing is sent before it is awaited"]
pub struct Bulk {
    lanes: Arc<Lanes>,
    verb: Verb,
    changes: Changes,
    on_progress: OnProgress,
}

/// What is to be changed.
pub(super) enum Changes {
    These(Source<Change>),
    Matching(Box<Matching>),
}

type OnProgress = Box<dyn FnMut(&Report) -> ControlFlow<()> + Send>;

impl Bulk {
    pub(crate) fn new(lanes: Arc<Lanes>, changes: Source<Change>) -> Self {
        Self::of(lanes, BULK, Changes::These(changes))
    }

    pub(super) fn of(lanes: Arc<Lanes>, verb: Verb, changes: Changes) -> Self {
        Self {
            lanes,
            verb,
            changes,
            on_progress: Box::new(|_| ControlFlow::Continue(())),
        }
    }

    /// Calls `watch` with the report so far, after each send and after changes that are not sent for
    /// being invalid; where it breaks, that report is the result, and no more is sent.
    ///
    /// It runs on the thread of the bulk request, which waits for it, and in the caller's runtime.
    /// While a list finds nothing that matches, and while a stream has nothing to give, it is not
    /// called.
    ///
    /// # Panics
    ///
    /// The future of the bulk request, where `watch` does.
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
        self.on_progress = Box::new(watch);
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
            mut on_progress,
        } = self;
        verb.run_for_long(lanes, None, move |task| async move {
            let changes = match changes {
                Changes::These(changes) => changes,
                Changes::Matching(matching) => matching.changes(task.lanes.clone()).await?,
            };
            let work = move |lane: &mut Lane, caller: &mut Caller| {
                let mut worker = Worker::new(lane);
                worker.work(changes, caller, &mut on_progress);
                worker.report
            };
            task.lanes.bulk(work)?.await
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
