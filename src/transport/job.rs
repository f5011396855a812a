//! Work that would block a reactor thread, and that runs the caller's code, on its own thread.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use super::bulk::Bulk;
use super::netns::Namespace;
use super::pool::{Pool, WeakPool};
use crate::error::{Error, Result};

/// Work on its own thread, with its own [`Bulk`]. Dropping it tells the work to end.
#[derive(Debug)]
pub(crate) struct Job<T> {
    result: oneshot::Receiver<Ended<T>>,
    _wanted: watch::Sender<()>,
}

/// A result, or the payload of a panic.
type Ended<T> = Result<Result<T>, Box<dyn Any + Send>>;

/// The job's view of its caller, which may be dropped.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    gone: watch::Receiver<()>,
    runtime: Handle,
    pool: WeakPool,
}

impl<T: Send + 'static> Job<T> {
    pub(super) fn start(
        pool: &Pool,
        namespace: Namespace,
        receive_queue: Option<usize>,
        work: impl FnOnce(&mut Bulk, &mut Caller) -> T + Send + 'static,
    ) -> Result<Self> {
        let (sender, result) = oneshot::channel();
        let (wanted, gone) = watch::channel(());
        let mut caller = Caller {
            gone,
            runtime: Handle::current(),
            pool: pool.downgrade(),
        };
        let run = move |thread: Result<()>| {
            thread?;
            // The caller's closures may use its runtime.
            let runtime = caller.runtime.clone();
            let _runtime = runtime.enter();
            let mut bulk = Bulk::open(&namespace, receive_queue)?;
            Ok(work(&mut bulk, &mut caller))
        };
        pool.spawn("ctnetlink-bulk", move |thread| {
            // The work runs the caller's iterator. A panic in it is resumed in the caller.
            let ended = catch_unwind(AssertUnwindSafe(|| run(thread)));
            let _ = sender.send(ended);
        })?;
        Ok(Self {
            result,
            _wanted: wanted,
        })
    }
}

impl<T> Future for Job<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        Pin::new(&mut self.result)
            .poll(cx)
            .map(|ended| match ended {
                Ok(Ok(result)) => result,
                Ok(Err(panic)) => resume_unwind(panic),
                Err(_) => Err(Error::closed()),
            })
    }
}

impl Caller {
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.has_changed().is_err()
    }

    /// Waits for the result of `poll`, in the caller's runtime. `None` if the caller is dropped
    /// first.
    pub(crate) fn wait<T>(
        &mut self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Option<T> {
        // Nothing is ever sent, so it changes when the sender is dropped.
        let mut gone = pin!(self.gone.changed());
        self.runtime.block_on(poll_fn(|cx| {
            // Check this first: in a runtime that shuts down, `poll` may panic.
            if gone.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            poll(cx).map(Some)
        }))
    }

    /// Starts a second thread for the job, which runs in the context of the caller's runtime. It
    /// does not start one, and returns `false`, if the machine has a single processor or the
    /// thread cannot be started.
    pub(crate) fn start_second(
        &self,
        name: &'static str,
        work: impl FnOnce(&mut Self) + Send + 'static,
    ) -> bool {
        let mut caller = self.clone();
        let run = move || {
            let runtime = caller.runtime.clone();
            let _runtime = runtime.enter();
            work(&mut caller);
        };
        let pool = self.pool.upgrade();
        pool.is_some_and(|pool| pool.spawn_second(name, run))
    }
}
