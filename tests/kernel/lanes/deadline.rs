//! Requests that are not answered in time.

use std::future::IntoFuture;
use std::time::{Duration, Instant};

use ctnetlink::{ErrorKind, Options, Table};
use futures::TryStreamExt;
use futures::future::join_all;
use libtest_mimic::Trial;

use super::{connect, fill, new, udp};
use crate::support::patience;
use crate::trials;

/// Long enough for an answer, also on a busy machine.
fn short() -> Duration {
    patience::secs(1) / 2
}

pub(super) fn tests() -> Vec<Trial> {
    trials!("lanes::deadline":
        a_connection_that_is_never_polled,
        more_requests_than_slots,
        walks_need_no_connection,
        a_walk_without_time,
    )
}

async fn a_connection_that_is_never_polled() {
    let options = Options::new().request_timeout(short());
    let (connection, handle) = options.new_connection().expect("a connection");
    let began = Instant::now();
    let error = handle.get(udp(1)).await.expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.is_timeout() && began.elapsed() >= short());
    let error = handle.create(new(1)).await.expect_err("no answer");
    assert!(error.to_string().contains("creating a flow"), "{error}");

    tokio::spawn(connection);
    // A request that was not sent in time is not sent later.
    assert_eq!(handle.get(udp(1)).await.expect("an answer"), None);
    handle.create(new(1)).await.expect("a flow");
}

/// Requests that wait for a slot also have a deadline.
async fn more_requests_than_slots() {
    let options = Options::new().request_timeout(short());
    let (connection, handle) = options.new_connection().expect("a connection");
    for _ in 0..2 {
        let gets = (0..300).map(|n| handle.get(udp(n)).into_future());
        for answer in join_all(gets).await {
            assert_eq!(answer.expect_err("no answer").kind(), ErrorKind::Timeout);
        }
    }
    tokio::spawn(connection);
    assert_eq!(handle.get(udp(1)).await.expect("an answer"), None);
}

async fn walks_need_no_connection() {
    let other = connect();
    fill(&other, 3).await;
    let (connection, handle) = ctnetlink::new_connection().expect("a connection");
    let flows = handle.list(Table::Conntrack).await.expect("a stream");
    assert_eq!(flows.try_collect::<Vec<_>>().await.expect("flows").len(), 3);
    handle.flush(Table::Conntrack).await.expect("a flush");
    drop(connection);
}

/// The walk may be faster, if this thread does not run meanwhile.
async fn a_walk_without_time() {
    let options = Options::new().request_timeout(Duration::ZERO);
    let handle = options.connect().await.expect("a connection");
    let mut late = 0;
    for _ in 0..10 {
        if let Err(error) = handle.list(Table::Conntrack).await {
            assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
            assert!(error.to_string().contains("listing the table"), "{error}");
            late += 1;
        }
    }
    assert!(late > 0);
}
