//! How late a timer of 1 ms is during a walk, on the same current-thread runtime.

use std::cell::RefCell;
use std::future::{Future, IntoFuture};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ctnetlink::{Filter, Table, Tuple};
use futures::StreamExt;
use tokio::task::LocalSet;
use tokio::time::sleep_until;

use crate::common::current_thread;
use crate::common::process::Outcome;
use crate::programs;

const TICK: Duration = Duration::from_millis(1);

/// Only the timer, for comparison: tokio's timers have a resolution of 1 ms.
pub(crate) fn idle() -> Outcome {
    beside(async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        0
    })
}

pub(crate) fn list() -> Outcome {
    beside(programs::list())
}

/// The kernel walks the table and finds nothing: one long system call.
pub(crate) fn nothing() -> Outcome {
    beside(async {
        let handle = ctnetlink::connect().await.expect("a connection");
        let no_flow = Filter::builder().mark(0xdead_beef).build();
        let list = handle.list(Table::Conntrack);
        let flows = list.filter(no_flow.expect("a filter")).await;
        flows.expect("a list").count().await
    })
}

/// With requests on single flows during the flush, which the kernel does not handle before its end.
pub(crate) fn flush() -> Outcome {
    beside(async {
        let handle = ctnetlink::connect().await.expect("a connection");
        let (src, dst) = ("192.0.2.1:1".parse(), "192.0.2.2:2".parse());
        let absent = Tuple::udp(src.expect("an address"), dst.expect("an address"));
        let absent = absent.expect("a tuple");
        let requests = async {
            loop {
                handle.get(absent).await.expect("an answer");
                tokio::time::sleep(TICK).await;
            }
        };
        tokio::select! {
            flushed = handle.flush(Table::Conntrack).into_future() => flushed.expect("a flush"),
            () = requests => {}
        }
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
