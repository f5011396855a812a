//! Verbs, one a file: the builder, the message that it makes, and what the kernel's answers mean
//! for it.

pub(crate) mod bulk;
pub(crate) mod create;
pub(crate) mod delete;
mod dump;
pub(crate) mod events;
pub(crate) mod expectation;
pub(crate) mod flush;
pub(crate) mod get;
pub(crate) mod get_many;
pub(crate) mod list;
pub(crate) mod matching;
mod probe;
pub(crate) mod report;
pub(crate) mod stats;
pub(crate) mod timeout;
pub(crate) mod update;
pub(crate) mod user_helper;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tracing::{Instrument, Span, field};

pub use bulk::{Bulk, Change};
pub use create::Create;
pub use delete::Delete;
pub use events::Events;
pub use expectation::FlushExpectations;
pub use flush::Flush;
pub use get::Get;
pub use get_many::GetMany;
pub use list::{List, Table};
pub(crate) use probe::probe;
pub use report::Report;
pub use update::Update;

use crate::error::{Error, Result};
use crate::flow::Family;
use crate::transport::Lanes;
use crate::transport::walk::{SEQ, Walk};
use crate::wire::message::Request;

/// A request on its way to its result.
///
/// Nothing is sent before the first poll.
///
/// # Cancellation
///
/// Dropped before it is sent, nothing happens; dropped later, the request may have taken effect,
/// and its answer is discarded.
#[must_use = "futures do nothing unless polled"]
pub struct RequestFuture<T>(Pin<Box<dyn Future<Output = Result<T>> + Send>>);

impl<T> Future for RequestFuture<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        self.0.as_mut().poll(cx)
    }
}

impl<T> fmt::Debug for RequestFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestFuture").finish_non_exhaustive()
    }
}

/// What a request is called: in its span, and in the text of its errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verb {
    pub(crate) name: &'static str,
    /// Opens the text of an error: "marking a flow".
    pub(crate) doing: &'static str,
}

/// A request under way: the lanes that it may take, and the span that tells of it.
pub(crate) struct Task {
    lanes: Arc<Lanes>,
    span: Span,
}

impl Verb {
    /// The future of a request: in a span, with a deadline, its errors telling what was asked.
    pub(crate) fn run<T, F>(
        self,
        lanes: Arc<Lanes>,
        family: Option<Family>,
        work: impl FnOnce(Task) -> F + Send + 'static,
    ) -> RequestFuture<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        self.run_for_long(lanes, family, move |task| {
            let timeout = task.lanes.timeout;
            in_time(timeout, work(task))
        })
    }

    /// [`run`](Self::run), without a deadline: what it takes depends on how much there is to do.
    pub(crate) fn run_for_long<T, F>(
        self,
        lanes: Arc<Lanes>,
        family: Option<Family>,
        work: impl FnOnce(Task) -> F + Send + 'static,
    ) -> RequestFuture<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        RequestFuture(Box::pin(async move {
            let span = tracing::debug_span!(
                "ctnetlink",
                verb = self.name,
                family = family.map(Family::as_str),
                seq = field::Empty,
                outcome = field::Empty,
            );
            let task = Task {
                lanes,
                span: span.clone(),
            };
            let result = work(task)
                .instrument(span.clone())
                .await
                .map_err(|error| error.while_(self.doing));
            match &result {
                Ok(_) => span.record("outcome", "ok"),
                Err(error) => span.record("outcome", field::debug(error.kind())),
            };
            result
        }))
    }
}

async fn in_time<T>(timeout: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(timeout, work)
        .await
        .unwrap_or_else(|_| Err(Error::timeout(timeout)))
}

impl Task {
    /// Fails work that takes longer than a request may.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        in_time(self.lanes.timeout, work).await
    }

    /// Sends a request that names one object; its data is what came before the kernel's consent.
    async fn call(&self, request: Request) -> Result<Option<Bytes>> {
        let reply = self.lanes.control.call(request).await?;
        self.span.record("seq", reply.seq);
        Error::check(reply.verdict)?;
        Ok(reply.data)
    }

    /// Starts a walk of the table.
    fn walk(&self, request: Request) -> Result<Walk> {
        self.span.record("seq", SEQ);
        self.lanes.walk(request)
    }
}
