//! A paused clock advances while a thread works: no request times out by that.

use std::future::{Future, IntoFuture};
use std::thread;
use std::time::Duration;

use ctnetlink::{Change, ConntrackHandle, ErrorKind, Filter, Options, Patch, Table};
use futures::TryStreamExt;
use libtest_mimic::Trial;
use tokio::runtime::Builder;

use super::{connect, fill, list, new, rest, udp};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["lanes::paused":
        lists_flushes_and_bulk,
        a_request_beside_a_flush,
        a_connection_that_nobody_polls,
    ]
}

/// Runs it on a runtime whose clock is paused.
fn paused<F: Future<Output = ()>>(work: impl FnOnce() -> F + Send + 'static) {
    let thread = thread::spawn(|| {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(work());
    });
    thread.join().expect("success");
}

fn marked(mark: u32) -> Filter {
    Filter::builder().mark(mark).build().expect("a filter")
}

async fn fill_with(handle: &ConntrackHandle) {
    let flows = (0..2000).map(|n| Change::Create(new(n).mark(u32::from(n % 2))));
    assert_eq!(handle.bulk(flows).await.expect("a report").applied, 2000);
}

async fn lists_flushes_and_bulk() {
    paused(|| async {
        let handle = ctnetlink::connect().await.expect("a connection");
        fill_with(&handle).await;
        assert_eq!(rest(list(&handle).await).await, 2000);
        let filtered = handle.list(Table::Conntrack).filter(marked(1)).await;
        let flows: Vec<_> = filtered
            .expect("a stream")
            .try_collect()
            .await
            .expect("flows");
        assert_eq!(flows.len(), 1000);
        let flush = handle.flush(Table::Conntrack).filter(marked(1)).await;
        flush.expect("a flush");
        let update = handle
            .update_matching(marked(0), Patch::new().mark(5))
            .await;
        assert_eq!(update.expect("a report").applied, 1000);
        let found: Vec<_> = handle
            .get_many((0..10).map(udp))
            .await
            .expect("a stream")
            .try_collect()
            .await
            .expect("flows");
        assert_eq!(found.len(), 10);
        let deleted = handle.delete_matching(marked(5)).await;
        assert_eq!(deleted.expect("a report").applied, 1000);
        handle.flush(Table::Conntrack).await.expect("a flush");
        handle.create(new(1)).await.expect("a flow");
        handle.flush(Table::Conntrack).await.expect("a flush");
        assert_eq!(rest(list(&handle).await).await, 0);
    });
}

async fn a_request_beside_a_flush() {
    fill(&connect(), 2000).await;
    paused(|| async {
        let handle = ctnetlink::connect().await.expect("a connection");
        let flush = tokio::spawn(handle.flush(Table::Conntrack).into_future());
        let mut gets = 0;
        while !flush.is_finished() {
            handle.get(udp(1)).await.expect("an answer");
            gets += 1;
            tokio::task::yield_now().await;
        }
        flush.await.expect("a task").expect("a flush");
        assert!(gets > 0);
    });
}

/// No thread works, so the deadline follows the clock.
async fn a_connection_that_nobody_polls() {
    paused(|| async {
        let options = Options::new().request_timeout(Duration::from_secs(3600));
        let (_connection, handle) = options.new_connection().expect("a connection");
        let error = handle.get(udp(1)).await.expect_err("no answer");
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains("not being polled"), "{error}");
    });
}
