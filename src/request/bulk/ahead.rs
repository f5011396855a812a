//! Makes the next batches on a second thread, while the kernel works on the ones before.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::batch::Batch;
use super::source::Source;
use crate::request::Change;
use crate::transport::job::{Caller, Second};

/// The second thread starts after this many full batches in a row. Fewer changes are not worth a
/// thread, and a source that gives its changes one by one gains nothing.
const WORTH: u32 = 8;

/// How many batches are made ahead.
const DEPTH: usize = 8;

/// The second thread is woken when only this many batches are left, because waking it for each one
/// would take longer than making it.
const LOW: usize = 2;

/// How often a stopped request checks whether its caller is gone, while the source runs.
const LOOK: Duration = Duration::from_millis(10);

/// Gives the batches of a source, in order.
pub(super) struct Feed {
    /// The second thread has it after its start.
    source: Option<Source<Change>>,
    thread: Thread,
}

/// The second thread.
enum Thread {
    /// It is not started yet. This many batches in a row were full.
    NotYet {
        full: u32,
    },
    /// The changes must not wait in a queue, or the thread could not be started.
    Never,
    Started(Ahead),
}

impl Feed {
    pub(super) fn new(source: Source<Change>) -> Self {
        Self {
            thread: match source.is_urgent {
                true => Thread::Never,
                false => Thread::NotYet { full: 0 },
            },
            source: Some(source),
        }
    }

    /// Replaces a batch with the next one. The last one has no changes. `seq` is the sequence number
    /// that the lane will give to the next request.
    pub(super) fn next(&mut self, batch: &mut Batch, caller: &mut Caller, seq: u32) {
        if let Thread::NotYet { full: WORTH } = self.thread {
            self.start(caller, seq);
        }
        match (&mut self.thread, &mut self.source) {
            (Thread::Started(ahead), _) => ahead.next(batch),
            (thread, Some(source)) => {
                batch.take(source, caller);
                if let Thread::NotYet { full } = thread {
                    *full = if batch.is_full() { *full + 1 } else { 0 };
                }
            }
            (_, None) => *batch = Batch::default(),
        }
    }

    fn start(&mut self, caller: &Caller, seq: u32) {
        self.thread = Thread::Never;
        let Some(source) = self.source.take() else {
            return;
        };
        match Ahead::start(source, caller, seq) {
            Ok(ahead) => self.thread = Thread::Started(ahead),
            Err(source) => self.source = source,
        }
    }
}

/// The queue between the two threads. Dropping it ends the second one, and waits until the source
/// is dropped, unless the caller is gone.
struct Ahead {
    shared: Arc<Shared>,
    second: Second,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is a batch.
    made: Condvar,
    /// There is room for more.
    room: Condvar,
}

#[derive(Default)]
struct State {
    /// The source, until the thread takes it.
    source: Option<Source<Change>>,
    ready: VecDeque<Batch>,
    /// Batches that were used, for their memory.
    used: Vec<Batch>,
    /// The payload of a panic of the source.
    panic: Option<Box<dyn Any + Send>>,
    stopped: bool,
    /// The source is dropped.
    ended: bool,
    /// A thread that does not wait is not woken, because that takes a system call.
    waits_for_batch: bool,
    waits_for_room: bool,
}

impl Ahead {
    /// Starts the second thread, or returns the source if that is not possible.
    fn start(
        source: Source<Change>,
        caller: &Caller,
        seq: u32,
    ) -> Result<Self, Option<Source<Change>>> {
        let shared = Arc::new(Shared::default());
        shared.lock().source = Some(source);
        let theirs = Arc::clone(&shared);
        match caller.start_second("ctnetlink-ahead", move |caller| theirs.run(caller, seq)) {
            Some(second) => Ok(Self { shared, second }),
            None => Err(shared.lock().source.take()),
        }
    }

    fn next(&self, batch: &mut Batch) {
        let shared = &self.shared;
        let mut state = shared.lock();
        state.used.push(std::mem::take(batch));
        loop {
            if let Some(next) = state.ready.pop_front() {
                *batch = next;
                break;
            }
            if let Some(panic) = state.panic.take() {
                drop(state);
                resume_unwind(panic);
            }
            state.waits_for_batch = true;
            state = wait(&shared.made, state);
            state.waits_for_batch = false;
        }
        if state.waits_for_room && state.ready.len() <= LOW {
            shared.room.notify_one();
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        let shared = &self.shared;
        let mut state = shared.lock();
        state.stopped = true;
        shared.room.notify_one();
        self.second.stop();
        // The caller may rely on its source being dropped when the request is done. If the caller
        // is gone, that does not matter, and the source may never return.
        while !state.ended && !self.second.caller.is_gone() {
            let waited = shared.made.wait_timeout(state, LOOK);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Shared {
    /// The work of the second thread.
    fn run(&self, caller: &mut Caller, seq: u32) {
        // The source is the caller's code. A panic in it is resumed in the caller.
        let made = catch_unwind(AssertUnwindSafe(|| self.make_all(caller, seq)));
        let mut state = self.lock();
        state.panic = made.err();
        state.ended = true;
        self.made.notify_one();
    }

    fn make_all(&self, caller: &mut Caller, mut seq: u32) {
        let Some(mut source) = self.lock().source.take() else {
            return;
        };
        while let Some(mut batch) = self.room() {
            batch.take(&mut source, caller);
            if batch.changes.is_empty() {
                // It is dropped before the request is done.
                drop(source);
                self.give(batch);
                return;
            }
            // The first thread then need not touch the datagram, which is in this one's cache.
            seq = batch.number(seq);
            self.give(batch);
        }
    }

    /// Waits until there is room for more batches, and returns an empty one. `None` if no more are
    /// needed.
    fn room(&self) -> Option<Batch> {
        let mut state = self.lock();
        let mut is_full = state.ready.len() >= DEPTH;
        while is_full && !state.stopped {
            state.waits_for_room = true;
            state = wait(&self.room, state);
            state.waits_for_room = false;
            is_full = state.ready.len() > LOW;
        }
        (!state.stopped).then(|| state.used.pop().unwrap_or_default())
    }

    fn give(&self, batch: Batch) {
        let mut state = self.lock();
        state.ready.push_back(batch);
        if state.waits_for_batch {
            self.made.notify_one();
        }
    }

    /// Ignores poisoning, because a panic leaves no change half made.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait<'a>(changed: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    changed.wait(state).unwrap_or_else(PoisonError::into_inner)
}
