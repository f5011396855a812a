//! Work that would block a reactor thread, and that runs the caller's code, on its own thread.

use std::any::Any;
use std::future::{Future, pending, poll_fn};
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
    /// For a second thread: the first one has stopped it.
    stopped: Option<watch::Receiver<()>>,
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
            stopped: None,
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

    /// Waits for the result of `poll`, in the caller's runtime. `None` if the caller is dropped, or
    /// this thread stopped, first.
    pub(crate) fn wait<T>(
        &mut self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Option<T> {
        let (gone, stopped) = (&mut self.gone, &mut self.stopped);
        // Nothing is ever sent, so each changes when its sender is dropped.
        let mut gone = pin!(gone.changed());
        let mut stopped = pin!(async {
            match stopped {
                Some(stopped) => _ = stopped.changed().await,
                None => pending().await,
            }
        });
        self.runtime.block_on(poll_fn(|cx| {
            // Check these first: in a runtime that shuts down, `poll` may panic.
            if gone.as_mut().poll(cx).is_ready() || stopped.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            poll(cx).map(Some)
        }))
    }

    /// Starts a second thread for the job, which runs in the context of the caller's runtime.
    /// `None` if the machine has a single processor or the thread cannot be started.
    pub(crate) fn start_second(
        &self,
        name: &'static str,
        work: impl FnOnce(&mut Self) + Send + 'static,
    ) -> Option<Second> {
        let (stop, stopped) = watch::channel(());
        let mut caller = self.clone();
        caller.stopped = Some(stopped);
        let run = move || {
            let runtime = caller.runtime.clone();
            let _runtime = runtime.enter();
            work(&mut caller);
        };
        let is_started = self.pool.upgrade()?.spawn_second(name, run);
        is_started.then(|| Second {
            stop: Some(stop),
            caller: self.clone(),
        })
    }
}

/// The second thread of a job.
#[derive(Debug)]
pub(crate) struct Second {
    stop: Option<watch::Sender<()>>,
    pub(crate) caller: Caller,
}

impl Second {
    /// Ends its [`Caller::wait`].
    pub(crate) fn stop(&mut self) {
        self.stop = None;
    }
}
