//! Keeps flushes from blocking the control lanes.
//!
//! The kernel handles one ctnetlink request at a time for the whole host (`nfnl_lock`). A flush
//! holds that lock while it walks the table, and every other request waits *inside* its `send`. A
//! control lane sends on a reactor thread, which must not block. So while a flush of this program
//! is in flight, the lane waits as a task. It cannot know about the flushes of other programs.
//!
//! Nothing depends on this for correctness. In a child of `fork`, the thread that held our lock may
//! not exist. The child does not wait for it, and relies on the kernel's own lock.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use std::{process, thread};

/// How long a flush waits for the lanes that are sending, or that waited for the flush before it.
/// They need microseconds, but their reactor may be busy with other tasks. A lane that is never
/// polled must not hold up the flushes of the program.
const COURTESY: Duration = Duration::from_millis(20);

/// How often a child of `fork` tries to take the lock, which is only ever held for a few
/// instructions.
const TRIES: usize = 1000;

/// Is a flush in flight? If not, a lane takes no lock.
static FLUSHING: AtomicBool = AtomicBool::new(false);

/// The number of lanes that are sending.
static SENDING: AtomicUsize = AtomicUsize::new(0);

/// The process that owns this state. A child of `fork` inherits the state of its parent.
static OWNER: AtomicU32 = AtomicU32::new(0);
static LINE: Mutex<Line> = Mutex::new(Line {
    waiting: Vec::new(),
});
static CHANGED: Condvar = Condvar::new();

struct Line {
    /// The lanes that wait for a flush before they can send, each once.
    waiting: Vec<(u64, Waker)>,
}

/// Permission to flush, until dropped.
pub(super) struct Flushing(());

/// Waits until this thread may flush. `None` if the caller has dropped the flush by then.
pub(super) fn begin_flush(is_unwanted: impl Fn() -> bool) -> Option<Flushing> {
    let Some(mut line) = lock() else {
        return Some(Flushing(()));
    };
    let mut since = Instant::now();
    loop {
        let others = FLUSHING.load(Ordering::SeqCst);
        if others {
            since = Instant::now();
        }
        if !others && (line.waiting.is_empty() || since.elapsed() >= COURTESY) {
            break;
        }
        let woken = CHANGED.wait_timeout(line, COURTESY);
        line = woken.unwrap_or_else(PoisonError::into_inner).0;
        if is_unwanted() {
            return None;
        }
    }
    FLUSHING.store(true, Ordering::SeqCst);
    drop(line);
    let flushing = Flushing(());
    let since = Instant::now();
    while SENDING.load(Ordering::SeqCst) > 0 && since.elapsed() < COURTESY {
        thread::yield_now();
    }
    (!is_unwanted()).then_some(flushing)
}

impl Drop for Flushing {
    fn drop(&mut self) {
        let line = lock();
        FLUSHING.store(false, Ordering::SeqCst);
        let wakers = line.as_ref().map(|line| line.waiting.clone());
        drop(line);
        CHANGED.notify_all();
        // Not under the lock: a waker may do anything, for example drop a lane.
        for (_, waker) in wakers.into_iter().flatten() {
            waker.wake();
        }
    }
}

/// Is a flush of this program under way?
pub(super) fn is_flushing() -> bool {
    FLUSHING.load(Ordering::SeqCst)
}

/// A control lane's place in the line.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    waits: bool,
}

/// Permission to send, until dropped.
pub(super) struct Sending(());

impl Place {
    pub(super) fn new() -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            waits: false,
        }
    }

    /// Waits until this lane may send a datagram.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Sending> {
        loop {
            if let Some(sending) = try_send() {
                self.leave();
                return Poll::Ready(sending);
            }
            let Some(mut line) = lock() else {
                SENDING.fetch_add(1, Ordering::SeqCst);
                return Poll::Ready(Sending(()));
            };
            // The flush may have ended before we got the lock.
            if !FLUSHING.load(Ordering::SeqCst) {
                continue;
            }
            let waker = cx.waker().clone();
            match line
                .waiting
                .iter_mut()
                .find(|(number, _)| *number == self.number)
            {
                Some((_, known)) => *known = waker,
                None => line.waiting.push((self.number, waker)),
            }
            self.waits = true;
            return Poll::Pending;
        }
    }

    /// Leaves the line.
    pub(super) fn leave(&mut self) {
        if std::mem::take(&mut self.waits) {
            if let Some(mut line) = lock() {
                line.waiting.retain(|(number, _)| *number != self.number);
            }
            CHANGED.notify_all();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Counts itself as sending, and then checks for a flush. A flush sets its flag first, and then
/// checks for senders. So at least one of the two sees the other.
pub(super) fn try_send() -> Option<Sending> {
    SENDING.fetch_add(1, Ordering::SeqCst);
    let sending = Sending(());
    (!FLUSHING.load(Ordering::SeqCst)).then_some(sending)
}

impl Drop for Sending {
    fn drop(&mut self) {
        SENDING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The lanes that wait; `None` if the lock cannot be taken. In a child of `fork` the list starts
/// empty.
fn lock() -> Option<MutexGuard<'static, Line>> {
    let process = process::id();
    if OWNER.load(Ordering::SeqCst) == process {
        // The lock is held by a thread of this process, which may not run for a while. Wait for it,
        // so that the waiting lanes are always woken. Poisoning is ignored, because a panic leaves
        // no change half made.
        return Some(LINE.lock().unwrap_or_else(PoisonError::into_inner));
    }
    for _ in 0..TRIES {
        let mut line = match LINE.try_lock() {
            Ok(line) => line,
            Err(TryLockError::Poisoned(line)) => line.into_inner(),
            Err(TryLockError::WouldBlock) => {
                thread::yield_now();
                continue;
            }
        };
        if OWNER.load(Ordering::SeqCst) != process {
            line.waiting.clear();
            FLUSHING.store(false, Ordering::SeqCst);
            OWNER.store(process, Ordering::SeqCst);
        }
        return Some(line);
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn waiting() -> usize {
        lock().unwrap().waiting.len()
    }

    /// One test for everything, because the state belongs to the process.
    #[test]
    fn lanes_wait_for_a_flush_as_tasks() {
        let mut place = Place::new();
        let mut noop = Context::from_waker(Waker::noop());
        assert!(place.poll(&mut noop).is_ready());

        let flush = begin_flush(|| false).expect("it is wanted");
        let all: Vec<_> = (0..10_000).map(|_| Arc::new(Wakes::default())).collect();
        for wakes in &all {
            let waker = Waker::from(Arc::clone(wakes));
            assert!(place.poll(&mut Context::from_waker(&waker)).is_pending());
        }
        assert_eq!(waiting(), 1, "however often it was polled");
        drop(flush);
        let woken = all.iter().map(|wakes| wakes.0.load(Ordering::SeqCst));
        let woken: Vec<_> = woken.collect();
        assert_eq!(woken.iter().sum::<usize>(), 1);
        assert_eq!(woken.last(), Some(&1), "the last to poll");
        assert!(place.poll(&mut noop).is_ready());
        assert_eq!(waiting(), 0);

        // A lane that was dropped is not waited for.
        let flush = begin_flush(|| false).expect("it is wanted");
        assert!(place.poll(&mut noop).is_pending());
        drop(place);
        assert_eq!(waiting(), 0);
        drop(flush);

        // A child of fork inherits the flush of its parent, and has no thread that ends it.
        let mut place = Place::new();
        let flush = begin_flush(|| false).expect("it is wanted");
        assert!(place.poll(&mut noop).is_pending());
        OWNER.store(process::id() ^ 1, Ordering::SeqCst);
        assert!(place.poll(&mut noop).is_ready());
        assert_eq!(waiting(), 0);
        drop((flush, place));

        // Waiting lanes are woken even if the lock is held for a while.
        let mut place = Place::new();
        let flush = begin_flush(|| false).expect("it is wanted");
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        assert!(place.poll(&mut Context::from_waker(&waker)).is_pending());
        let held = lock().unwrap();
        let ends = thread::spawn(move || drop(flush));
        thread::sleep(Duration::from_millis(100));
        drop(held);
        ends.join().unwrap();
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert!(place.poll(&mut noop).is_ready());

        // A flush that is given up wakes the lanes that waited for it.
        let mut place = Place::new();
        let flush = begin_flush(|| false).expect("it is wanted");
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        assert!(place.poll(&mut Context::from_waker(&waker)).is_pending());
        let next = thread::spawn(|| begin_flush(|| true).is_none());
        drop(flush);
        assert!(wakes.0.load(Ordering::SeqCst) > 0);
        assert!(next.join().unwrap());
        assert!(place.poll(&mut noop).is_ready());
    }
}
