//! One alarm for all that wait in the queue, in place of one for each.
//!
//! A request is answered in microseconds, and may take half a minute: its alarm would be set and taken
//! back for nothing. So the first that waits sets one for the queue. It rings before any of those that
//! came later is late, and wakes all that still wait; each then sets its own.

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
pub(super) struct Watch(Mutex<Option<Alarm>>);

struct Alarm {
    /// Whose clock it goes by: it rings while that lives.
    runtime: Id,
    bell: Arc<Bell>,
    _sleep: Pin<Box<Sleep>>,
}

struct Bell {
    queue: Weak<Queue>,
    has_rung: AtomicBool,
}

impl Watch {
    /// Will all that wait by now be woken before this time has passed? If not, they are to see to it
    /// themselves.
    pub(super) fn is_set(&self, queue: &Arc<Queue>, timeout: Duration) -> bool {
        let (Ok(mut alarm), Ok(runtime)) = (self.0.try_lock(), Handle::try_current()) else {
            return false;
        };
        let runtime = runtime.id();
        // That of another runtime is for those who wait there.
        if let Some(alarm) = alarm.as_ref().filter(|alarm| !alarm.bell.has_rung()) {
            return alarm.runtime == runtime;
        }
        let bell = Arc::new(Bell {
            queue: Arc::downgrade(queue),
            has_rung: AtomicBool::new(false),
        });
        let waker = Waker::from(Arc::clone(&bell));
        let mut sleep = Box::pin(sleep(timeout));
        if sleep
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
        {
            return false;
        }
        *alarm = Some(Alarm {
            runtime,
            bell,
            _sleep: sleep,
        });
        true
    }
}

impl Bell {
    fn has_rung(&self) -> bool {
        self.has_rung.load(Ordering::SeqCst)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::SeqCst);
        if let Some(queue) = self.queue.upgrade() {
            queue.wake_waiting();
        }
    }
}
