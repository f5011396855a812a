//! Who may speak to the kernel.
//!
//! The kernel takes one ctnetlink request of the host at a time (`nfnl_lock`): while a flush, or
//! the first datagram of a dump, walks the table, any other request waits *inside* its `send`. The
//! control lane sends on a reactor thread, which must not sit there for as long as this program's
//! own walks take: it waits for its turn as a task. What other programs do it cannot know.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Held by whoever sends.
static KERNEL: Mutex<()> = Mutex::new(());

/// Walks stand in a line of their own, so that a control lane waits for one of them as a rule.
static WALKS: Mutex<()> = Mutex::new(());

static LANES: Mutex<Waiting> = Mutex::new(Waiting {
    lanes: 0,
    wakers: Vec::new(),
});
static NONE_WAITS: Condvar = Condvar::new();

/// How long a walk lets the lanes go first that waited for the one before. A lane takes
/// microseconds, but its reactor may be busy with other tasks; one that nobody polls must not hold
/// up the walks of the program.
const COURTESY: Duration = Duration::from_millis(20);

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

/// Waits until this thread may send its walk; `None` if by then nobody wants it any more.
pub(super) fn of_walk(unwanted: impl Fn() -> bool) -> Option<Turn> {
    let line = lock(&WALKS);
    if unwanted() {
        return None;
    }
    let waiting = NONE_WAITS.wait_timeout_while(lock(&LANES), COURTESY, |lanes| lanes.lanes > 0);
    drop(waiting);
    let kernel = lock(&KERNEL);
    (!unwanted()).then(|| Turn {
        kernel: Some(kernel),
        _line: Some(line),
    })
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.kernel = None;
        // A waker may do anything, a lane's end among it: not under the lock.
        let wakers = std::mem::take(&mut lock(&LANES).wakers);
        wakers.into_iter().for_each(Waker::wake);
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
        if !lanes.wakers.iter().any(|known| known.will_wake(cx.waker())) {
            lanes.wakers.push(cx.waker().clone());
        }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_lane_waits_for_a_walk_as_a_task() {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut cx = Context::from_waker(&waker);
        let mut place = Place::default();

        let walk = of_walk(|| false).expect("it is wanted");
        for _ in 0..3 {
            assert!(place.poll(&mut cx).is_pending());
        }
        assert_eq!(lock(&LANES).lanes, 1);
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
        drop(walk);
        assert_eq!(
            wakes.0.load(Ordering::SeqCst),
            1,
            "once, however often it was polled"
        );
        assert!(place.poll(&mut cx).is_ready());
        assert_eq!(lock(&LANES).lanes, 0);

        // One that gives up is not waited for.
        let walk = of_walk(|| false).expect("it is wanted");
        assert!(place.poll(&mut cx).is_pending());
        drop(place);
        assert_eq!(lock(&LANES).lanes, 0);
        drop(walk);
        assert!(of_walk(|| true).is_none());
        assert!(of_walk(|| false).is_some());
    }
}
