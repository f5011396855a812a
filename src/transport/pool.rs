//! A few threads for work that would block a reactor thread. They are started on demand.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result};

/// The maximum number of threads. More walks at a time gain nothing, because they all walk the same
/// hash table.
const MOST: usize = 8;

/// How long an idle thread stays, so that a program's next walk can use it.
const IDLE: Duration = Duration::from_millis(20);

/// A small stack is enough: the kernel walks, and the reader decodes.
const STACK: usize = 128 * 1024;

type Job = Box<dyn FnOnce() + Send>;

/// The threads of a connection. Each job is short. Work that waits for its reader gives its thread
/// back, and work that runs the caller's code has its own thread ([`Pool::spawn`]).
#[derive(Clone, Debug)]
pub(crate) struct Pool(Arc<Owner>);

/// A reference to a pool that does not keep it alive.
#[derive(Clone, Debug)]
pub(super) struct WeakPool(Weak<Owner>);

impl WeakPool {
    pub(super) fn upgrade(&self) -> Option<Pool> {
        self.0.upgrade().map(Pool)
    }
}

/// Ends the threads when the last clone of the pool is dropped. The threads hold only [`Shared`].
#[derive(Debug)]
struct Owner(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
    most: usize,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    /// The number of running jobs, on the pool's threads and on threads of their own.
    busy: usize,
    closed: bool,
}

impl Pool {
    pub(crate) fn new() -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self(Arc::new(Owner(Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            most: processors.clamp(1, MOST),
        }))))
    }

    /// Queues a job for one of the threads.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) -> Result<()> {
        self.queue(Box::new(job))
    }

    fn queue(&self, job: Job) -> Result<()> {
        let shared = &self.0.0;
        let mut state = shared.lock();
        state.jobs.push_back(job);
        shared.work.notify_one();
        // A thread that was woken for another job still counts as idle until it runs.
        if state.idle >= state.jobs.len() {
            return Ok(());
        }
        if state.threads == shared.most {
            return Ok(());
        }
        let theirs = Arc::clone(shared);
        let begun = thread::Builder::new()
            .name("ctnetlink-walk".into())
            .stack_size(STACK)
            .spawn(move || theirs.work());
        match begun {
            Ok(_) => state.threads += 1,
            // The existing threads will take the job.
            Err(_) if state.threads > 0 => {}
            Err(cause) => {
                state.jobs.pop_back();
                return Err(Error::io("starting a thread", cause));
            }
        }
        Ok(())
    }

    /// Runs a job on a new thread. A thread of the pool starts it, because starting many threads
    /// would block a reactor thread for too long. If it cannot be started, the job gets the error
    /// on the pool's thread.
    pub(super) fn spawn(
        &self,
        name: &'static str,
        job: impl FnOnce(Result<()>) + Send + 'static,
    ) -> Result<()> {
        self.spawn_boxed(name, Box::new(job))
    }

    fn spawn_boxed(
        &self,
        name: &'static str,
        job: Box<dyn FnOnce(Result<()>) + Send>,
    ) -> Result<()> {
        let shared = Arc::clone(&self.0.0);
        self.run(move || {
            let job = Arc::new(Mutex::new(Some(job)));
            let theirs = Arc::clone(&job);
            let begun = shared.spawn_now(name, move || {
                if let Some(job) = take(&theirs) {
                    job(Ok(()));
                }
            });
            if let Err(cause) = begun {
                if let Some(job) = take(&job) {
                    job(Err(Error::io("starting a thread", cause)));
                }
            }
        })
    }

    /// Runs a part of a job on a second thread, which the job starts from its own. It does not, and
    /// returns `false`, if there is a single processor or the thread cannot be started.
    pub(super) fn spawn_second(
        &self,
        name: &'static str,
        part: impl FnOnce() + Send + 'static,
    ) -> bool {
        let shared = &self.0.0;
        shared.most > 1 && shared.spawn_now(name, part).is_ok()
    }

    /// For a job that starts another one, and must not keep the pool alive.
    pub(super) fn downgrade(&self) -> WeakPool {
        WeakPool(Arc::downgrade(&self.0))
    }

    /// Is a job running or queued?
    pub(super) fn is_busy(&self) -> bool {
        let state = self.0.0.lock();
        state.busy > 0 || !state.jobs.is_empty()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.work.notify_all();
    }
}

impl Shared {
    /// Ignores poisoning, because a panic leaves no change half made.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a thread.
    fn spawn_now(
        self: &Arc<Self>,
        name: &'static str,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let busy = Busy::new(Arc::clone(self));
        let begun = thread::Builder::new().name(name.into()).spawn(move || {
            let _busy = busy;
            work();
        });
        begun.map(drop)
    }

    /// The main loop of a thread.
    fn work(self: Arc<Self>) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                let busy = Busy::new(Arc::clone(&self));
                job();
                drop(busy);
                state = self.lock();
                continue;
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let waited = self.work.wait_timeout(state, IDLE);
            let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if timeout.timed_out() && state.jobs.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }
}

fn take<T>(place: &Mutex<Option<T>>) -> Option<T> {
    place.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Counts a job while it runs.
struct Busy(Arc<Shared>);

impl Busy {
    fn new(shared: Arc<Shared>) -> Self {
        shared.lock().busy += 1;
        Self(shared)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.lock().busy -= 1;
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("waiting", &self.jobs.len())
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn a_thousand_jobs_have_a_few_threads() {
        let pool = Pool::new();
        let (sender, receiver) = sync_channel(1000);
        for n in 0..1000 {
            let sender = sender.clone();
            pool.run(move || sender.send((n, thread::current().id())).unwrap())
                .unwrap();
        }
        let done: Vec<_> = receiver.iter().take(1000).collect();
        let threads: std::collections::HashSet<_> = done.iter().map(|(_, id)| *id).collect();
        assert!(threads.len() <= pool.0.0.most, "{}", threads.len());
        let mut jobs: Vec<_> = done.iter().map(|(n, _)| *n).collect();
        jobs.sort_unstable();
        assert_eq!(jobs, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn jobs_that_wait_are_done_when_it_is_gone() {
        let pool = Pool::new();
        let (sender, receiver) = sync_channel(100);
        for _ in 0..100 {
            let sender = sender.clone();
            pool.spawn("one-of-a-hundred", move |_| sender.send(()).unwrap())
                .unwrap();
        }
        drop((pool, sender));
        assert_eq!(receiver.iter().count(), 100);
    }
}
