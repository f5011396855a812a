//! One timer for all requests that wait in the queue, instead of one for each.
//!
//! A request is usually answered in microseconds, and its timeout is half a minute. A timer for
//! each would almost always be set and cancelled for nothing. So the first waiting request sets one
//! timer for the queue. It fires before any later request times out, and wakes all callers that
//! still wait. Each of them then sets its own timer.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use tokio::time::{Sleep, sleep};

use super::Queue;

#[derive(Default)]
pub(super) struct Watch(Mutex<Option<Timer>>);

struct Timer {
    /// The runtime whose clock drives the timer.
    runtime: Id,
    wakeup: Arc<Wakeup>,
    _sleep: Pin<Box<Sleep>>,
}

struct Wakeup {
    queue: Weak<Queue>,
    has_fired: AtomicBool,
}

impl Watch {
    /// Will all callers that wait now be woken before this time has passed? If not, each must set
    /// its own timer.
    pub(super) fn is_set(&self, queue: &Arc<Queue>, timeout: Duration) -> bool {
        let (Ok(mut timer), Ok(runtime)) = (self.0.try_lock(), Handle::try_current()) else {
            return false;
        };
        let runtime = runtime.id();
        // A timer of another runtime serves only the callers in that runtime.
        if let Some(timer) = timer.as_ref().filter(|timer| !timer.wakeup.has_fired()) {
            return timer.runtime == runtime;
        }
        let wakeup = Arc::new(Wakeup {
            queue: Arc::downgrade(queue),
            has_fired: AtomicBool::new(false),
        });
        let waker = Waker::from(Arc::clone(&wakeup));
        let mut sleep = Box::pin(sleep(timeout));
        if sleep
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
        {
            return false;
        }
        *timer = Some(Timer {
            runtime,
            wakeup,
            _sleep: sleep,
        });
        true
    }
}

impl Wakeup {
    fn has_fired(&self) -> bool {
        self.has_fired.load(Ordering::SeqCst)
    }
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_fired.store(true, Ordering::SeqCst);
        if let Some(queue) = self.queue.upgrade() {
            queue.wake_waiting();
        }
    }
}
