//! How late a timer of 1 ms is while a walk goes on, on the same current-thread runtime.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ctnetlink::Table;
use nix::sched::{CloneFlags, unshare};
use tokio::task::LocalSet;
use tokio::time::sleep_until;

use crate::common::current_thread;
use crate::common::process::Outcome;
use crate::programs;

const TICK: Duration = Duration::from_millis(1);

/// The timer alone, for comparison: tokio's timers have a grain of 1 ms.
pub(crate) fn idle() -> Outcome {
    beside(async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        0
    })
}

pub(crate) fn list() -> Outcome {
    beside(programs::list())
}

/// The kernel walks the table of all namespaces, and finds nothing: one long system call.
pub(crate) fn empty_list() -> Outcome {
    unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
    beside(programs::list())
}

pub(crate) fn flush() -> Outcome {
    beside(async {
        let handle = ctnetlink::connect().expect("a connection");
        handle.flush(Table::Conntrack).await.expect("a flush");
        0
    })
}

fn beside(work: impl Future<Output = usize>) -> Outcome {
    let late = Rc::new(RefCell::new(Vec::new()));
    let start = Instant::now();
    let count = LocalSet::new().block_on(&current_thread(), async {
        let ticking = tokio::task::spawn_local(tick(late.clone()));
        let count = work.await;
        ticking.abort();
        count
    });
    let outcome = Outcome::new(start, count);
    let mut late = late.take();
    late.sort();
    let at = (late.len() * 99).div_ceil(100).saturating_sub(1);
    Outcome {
        late: late.get(at).map(|late| late.as_secs_f64() * 1e3),
        ..outcome
    }
}

async fn tick(late: Rc<RefCell<Vec<Duration>>>) {
    let mut due = tokio::time::Instant::now() + TICK;
    loop {
        sleep_until(due).await;
        let now = tokio::time::Instant::now();
        late.borrow_mut().push(now - due);
        due = now + TICK;
    }
}
