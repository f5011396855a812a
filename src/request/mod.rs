//! The verbs, one per file: the builder, the message that it sends, and the meaning of the kernel's
//! answers.

/// Declares verbs: a [`Verb`] constant for each, with its name and its words.
macro_rules! verbs {
    ($($verb:ident = $name:literal, $doing:literal;)+) => {
        $(const $verb: $crate::request::Verb = $crate::request::Verb {
            name: $name,
            doing: $doing,
        };)+
    };
}

pub(crate) mod bulk;
mod change;
pub(crate) mod create;
mod deadline;
pub(crate) mod delete;
mod dump;
pub(crate) mod events;
pub(crate) mod expectation;
pub(crate) mod flush;
mod gather;
pub(crate) mod get;
pub(crate) mod get_many;
pub(crate) mod list;
pub(crate) mod matching;
pub(crate) mod preflight;
mod probe;
pub(crate) mod report;
pub(crate) mod restore;
pub(crate) mod stats;
pub(crate) mod timeout;
pub(crate) mod update;
pub(crate) mod user_helper;

use std::fmt;
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tracing::{Level, Span, field};

pub use bulk::Bulk;
pub use change::Change;
pub use create::Create;
use deadline::in_time;
pub use delete::Delete;
pub use events::Events;
pub use expectation::{FlushExpectations, ListExpectations};
pub use flush::Flush;
pub use get::Get;
pub use get_many::GetMany;
pub use list::{List, Table};
pub(crate) use probe::probe;
pub use report::{Outcome, Report};
pub use update::Update;

use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Family, Tuple};
use crate::transport::Lanes;
use crate::transport::queue::{Subject, Work};
use crate::transport::walk::{SEQ, Walk};
use crate::wire::attr::DecodeError;
use crate::wire::message::{Frame, Request};

/// The future of a request.
///
/// Nothing is sent before the first poll.
///
/// # Cancellation
///
/// If it is dropped before the request is sent, nothing happens. If it is dropped later, the request
/// may have taken effect, and its answer is discarded.
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

/// The name of a request in its span, and in the text of its errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verb {
    pub(crate) name: &'static str,
    /// Begins the text of an error: "marking a flow".
    pub(crate) doing: &'static str,
}

/// A request in flight: the lanes that it can use, and its span.
pub(crate) struct Task {
    lanes: Arc<Lanes>,
    span: Span,
    /// When the request began, for the timeout of the whole request. `None` for requests that may
    /// take long: then the timeout is for each part.
    began: Option<Instant>,
}

impl Verb {
    /// The future of a request, with a span, a deadline, and errors that say what was asked.
    pub(crate) fn run<T, F>(
        self,
        lanes: Arc<Lanes>,
        family: Option<Family>,
        work: impl FnOnce(Task) -> F + Send + 'static,
    ) -> RequestFuture<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        self.start(lanes, family, Some(Instant::now), work)
    }

    /// [`run`](Self::run) without a deadline, for requests whose time depends on the number of
    /// flows.
    pub(crate) fn run_for_long<T, F>(
        self,
        lanes: Arc<Lanes>,
        family: Option<Family>,
        work: impl FnOnce(Task) -> F + Send + 'static,
    ) -> RequestFuture<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        self.start(lanes, family, None, work)
    }

    fn start<T, F>(
        self,
        lanes: Arc<Lanes>,
        family: Option<Family>,
        began: Option<fn() -> Instant>,
        work: impl FnOnce(Task) -> F + Send + 'static,
    ) -> RequestFuture<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        RequestFuture(Box::pin(async move {
            let (task, end) = self.begin(lanes, family, began);
            // Pin it in place: it is large, and moving it would cost more than polling it.
            let mut work = pin!(work(task));
            let result = poll_fn(|cx| {
                let _entered = end.span.enter();
                work.as_mut().poll(cx)
            });
            let result = result.await.map_err(|error| error.context(self.doing));
            end.tell(result.as_ref().err());
            result
        }))
    }

    /// What [`start`](Self::start) does before the work. It is compiled once, and not for each verb.
    fn begin(
        self,
        lanes: Arc<Lanes>,
        family: Option<Family>,
        began: Option<fn() -> Instant>,
    ) -> (Task, End) {
        let span = tracing::debug_span!(
            target: "ctnetlink",
            "ctnetlink",
            verb = self.name,
            netns = lanes.namespace.number(),
            family = family.map(Family::as_str),
            key = field::Empty,
            filter = field::Empty,
            kernel_filtered = field::Empty,
            report = field::Empty,
            seq = field::Empty,
            outcome = field::Empty,
        );
        let end = End::new(span.clone());
        let task = Task {
            lanes,
            span,
            began: began.map(|now| now()),
        };
        (task, end)
    }
}

/// Logs the end of a request, also if it is dropped in flight.
struct End {
    span: Span,
    /// `None` if the log line is disabled.
    began: Option<Instant>,
    has_come: bool,
}

impl End {
    fn new(span: Span) -> Self {
        let is_heard = tracing::event_enabled!(target: "ctnetlink", Level::DEBUG);
        Self {
            span,
            began: is_heard.then(Instant::now),
            has_come: false,
        }
    }

    /// Records the outcome of the request: its error, or `None` if it succeeded.
    fn tell(mut self, error: Option<&Error>) {
        self.has_come = true;
        if !self.span.is_disabled() {
            match error {
                None => self.span.record("outcome", "ok"),
                Some(error) => self.span.record("outcome", field::debug(error.kind())),
            };
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if !self.has_come {
            self.span.record("outcome", "dropped");
        }
        if let Some(began) = self.began {
            let elapsed = began.elapsed();
            tracing::debug!(target: "ctnetlink", parent: &self.span, ?elapsed, "done");
        }
    }
}

impl Task {
    /// Records a field of the span.
    fn show(&self, field: &str, value: &dyn fmt::Display) {
        if !self.span.is_disabled() {
            self.span.record(field, field::display(value));
        }
    }

    /// Sends a request that names one object, and returns the data that the kernel sent before its
    /// ACK.
    async fn call(&self, request: Request) -> Result<Option<Bytes>> {
        self.reply(request.into(), None).await
    }

    /// Asks for one object, which `read` decodes. `None` if the kernel says that it does not exist.
    async fn find<T>(
        &self,
        request: Request,
        read: impl FnOnce(&Frame<'_>) -> Result<T, DecodeError>,
    ) -> Result<Option<T>> {
        match self.call(request).await {
            Ok(data) => Error::reading(&data.ok_or_else(Error::unanswered)?, read).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// [`call`](Self::call) for a request about the flow of this tuple. Requests about the same
    /// flow are sent in the order of their first polls.
    async fn call_about(&self, tuple: &Tuple, work: impl Into<Work>) -> Result<Option<Bytes>> {
        self.show("key", tuple);
        self.reply(work.into(), Some(subject(tuple))).await
    }

    async fn reply(&self, work: Work, about: Option<Subject>) -> Result<Option<Bytes>> {
        let control = &self.lanes.control;
        // A request with steps also waits outside of the queue.
        let is_one = work.steps.is_none();
        let is_watched = || is_one && control.is_watched(self.lanes.timeout);
        let began = self.began.unwrap_or_else(Instant::now);
        let call = control.call(work, about);
        let reply = in_time(&self.lanes, || Some(began), is_watched, call).await?;
        self.show("seq", &reply.seq);
        Error::check(reply.verdict)?;
        Ok(reply.data)
    }

    /// Starts a walk, and waits for its first datagram. So an error that the kernel reports at once
    /// fails the request, and is not an item of the stream.
    async fn walk(&self, request: Request) -> Result<(Walk, BytesMut)> {
        self.span.record("seq", SEQ);
        let mut walk = self.lanes.walk(request)?;
        let mut first = BytesMut::new();
        let begun = walk.begun();
        let opened = poll_fn(|cx| walk.poll_next(cx, &mut first));
        let opened = async { opened.await.unwrap_or_else(|| Err(Error::unanswered())) };
        in_time(&self.lanes, || begun.get(), || false, opened).await?;
        Ok((walk, first))
    }

    /// Runs work under the deadline of the request.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let began = self.began.unwrap_or_else(Instant::now);
        in_time(&self.lanes, || Some(began), || false, work).await
    }

    /// Sends a request that makes the kernel walk the table inside our send, and waits for the
    /// verdict.
    async fn flush(&self, request: Request) -> Result<()> {
        self.span.record("seq", SEQ);
        let mut flush = self.lanes.flush(request)?;
        let begun = flush.begun();
        let done = poll_fn(|cx| flush.poll(cx));
        in_time(&self.lanes, || begun.get(), || false, done).await
    }
}

/// The subject is the same for both directions. It only decides the order of requests, so a cheap
/// hash is enough, and two flows between the same ends may share one.
fn subject(tuple: &Tuple) -> Subject {
    let end = |address: IpAddr, port: Option<u16>| {
        let address = match address {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => (address.to_bits() as u64) ^ (address.to_bits() >> 64) as u64,
        };
        (address ^ u64::from(port.unwrap_or(0)) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    };
    let (src, dst) = (
        end(tuple.src(), tuple.src_port()),
        end(tuple.dst(), tuple.dst_port()),
    );
    Subject(src.wrapping_add(dst))
}
