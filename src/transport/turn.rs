//! Who may speak to the kernel.
//!
//! The kernel takes one ctnetlink request of the host at a time (`nfnl_lock`): while a flush, or
//! the first datagram of a dump, walks the table, any other request waits *inside* its `send`. The
//! control lane sends on a reactor thread, which must not sit there for the 0.2 s and more that
//! this program's own walks take: it waits for its turn as a task. What other programs do it
//! cannot know.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Held by whoever sends.
static KERNEL: Mutex<()> = Mutex::new(());

/// Walks stand in a line of their own: a control lane waits for one of them at the most.
static WALKS: Mutex<()> = Mutex::new(());

static LANES: Mutex<Waiting> = Mutex::new(Waiting {
    lanes: 0,
    wakers: Vec::new(),
});
static NONE_WAITS: Condvar = Condvar::new();

/// How long a walk lets the lanes go first that waited for the one before. A lane takes
/// microseconds; one that nobody polls must not hold up the walks of the program.
const COURTESY: Duration = Duration::from_millis(1);

/// The control lanes that have something to send and may not.
struct Waiting {
    lanes: usize,
    wakers: Vec<Waker>,
}

/// The right to send, until dropped.
pub(super) struct Turn {
    kernel: Option<MutexGuard<'static, ()>>,
    _line: Option<MutexGuard<'static, ()>>,
}

/// Waits until this thread may send its walk.
pub(super) fn of_walk() -> Turn {
    let line = lock(&WALKS);
    let waiting = NONE_WAITS.wait_timeout_while(lock(&LANES), COURTESY, |lanes| lanes.lanes > 0);
    drop(waiting);
    Turn {
        kernel: Some(lock(&KERNEL)),
        _line: Some(line),
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.kernel = None;
        for waker in lock(&LANES).wakers.drain(..) {
            waker.wake();
        }
    }
}

/// A control lane's place: counted while it waits.
#[derive(Default)]
pub(super) struct Place {
    waits: bool,
}

impl Place {
    /// Waits until this lane may send a datagram.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        if let Some(turn) = self.try_take() {
            return Poll::Ready(turn);
        }
        let mut lanes = lock(&LANES);
        lanes.wakers.push(cx.waker().clone());
        lanes.lanes += usize::from(!self.waits);
        self.waits = true;
        drop(lanes);
        // Whoever held it may have gone before the waker was there.
        self.try_take().map_or(Poll::Pending, Poll::Ready)
    }

    fn try_take(&mut self) -> Option<Turn> {
        let kernel = match KERNEL.try_lock() {
            Ok(kernel) => kernel,
            Err(TryLockError::Poisoned(kernel)) => kernel.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        self.leave();
        Some(Turn {
            kernel: Some(kernel),
            _line: None,
        })
    }

    fn leave(&mut self) {
        if std::mem::take(&mut self.waits) {
            let mut lanes = lock(&LANES);
            lanes.lanes -= 1;
            if lanes.lanes == 0 {
                NONE_WAITS.notify_one();
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Nothing here is left half done by a panic.
fn lock<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
