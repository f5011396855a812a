//! The end of a connection, and its effect on waiting requests.

use std::future::IntoFuture;
use std::thread;
use std::time::Duration;

use ctnetlink::{Error, ErrorKind, Result, Table};
use futures::StreamExt;
use futures::future::join_all;
use libtest_mimic::Trial;
use tokio::runtime::Builder;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::{Held, WALK, alone, fill, list, new, rest, udp, until};
use crate::support::{count, patience};
use crate::trials;

pub(super) fn tests() -> Vec<Trial> {
    let mut tests = trials!("lanes::closing":
        a_dropped_connection_ends_what_waits,
        an_aborted_task_ends_what_waits,
        the_last_handle_ends_the_connection,
        a_stream_keeps_the_connection,
        a_request_keeps_the_connection,
        it_outlives_the_runtime_that_it_was_opened_in,
    );
    tests.extend(alone!("lanes::closing": nothing_is_left,));
    tests
}

fn closed<T: std::fmt::Debug>(result: Result<T>) {
    let error: Error = result.expect_err("it is closed");
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    assert!(error.is_closed());
}

/// More requests than slots, so that some are in flight and some wait.
async fn a_dropped_connection_ends_what_waits() {
    let (connection, handle) = ctnetlink::new_connection().expect("a connection");
    let waiting: Vec<_> = (0..300)
        .map(|n| tokio::spawn(handle.get(udp(n)).into_future()))
        .collect();
    yield_now().await;
    drop(connection);
    for answer in join_all(waiting).await {
        closed(answer.expect("a task"));
    }
    closed(handle.get(udp(1)).await);
    closed(handle.create(new(1)).await);
    closed(handle.list(Table::Conntrack).await);
    closed(handle.flush(Table::Conntrack).await);
}

async fn an_aborted_task_ends_what_waits() {
    let (connection, handle) = ctnetlink::new_connection().expect("a connection");
    let task = tokio::spawn(connection);
    handle.create(new(1)).await.expect("a flow");
    // A request that needs a lookup is sent by the task.
    let waiting = tokio::spawn(handle.delete(udp(1)).into_future());
    task.abort();
    assert!(task.await.expect_err("aborted").is_cancelled());
    closed(waiting.await.expect("a task"));
    closed(handle.get(udp(1)).await);
}

async fn the_last_handle_ends_the_connection() {
    let (connection, handle) = ctnetlink::new_connection().expect("a connection");
    let task = tokio::spawn(connection);
    let clone = handle.clone();
    drop(handle);
    clone.create(new(1)).await.expect("a flow");
    assert!(!task.is_finished());
    // A request that was not polled yet also keeps the connection open.
    let get = clone.get(udp(1));
    drop(clone);
    assert!(get.await.expect("an answer").is_some());
    let ended = timeout(patience::answer(), task).await;
    ended.expect("an end").expect("a task").expect("success");

    let (connection, handle) = ctnetlink::new_connection().expect("a connection");
    drop(handle);
    connection.await.expect("success");
}

async fn a_stream_keeps_the_connection() {
    let (connection, handle) = ctnetlink::new_connection().expect("a connection");
    let task = tokio::spawn(connection);
    fill(&handle, 3).await;
    let mut flows = list(&handle).await;
    drop(handle);
    sleep(Duration::from_millis(50)).await;
    assert!(!task.is_finished());
    flows.next().await.expect("an item").expect("a flow");
    assert_eq!(rest(flows).await, 2);
    let ended = timeout(patience::answer(), task).await;
    ended.expect("an end").expect("a task").expect("success");
}

async fn a_request_keeps_the_connection() {
    let (connection, handle) = ctnetlink::new_connection().expect("a connection");
    let create = tokio::spawn(handle.create(new(1)).into_future());
    drop(handle);
    yield_now().await;
    let task = tokio::spawn(connection);
    create.await.expect("a task").expect("a flow");
    task.await.expect("a task").expect("success");
}

/// The stream owns its socket.
async fn it_outlives_the_runtime_that_it_was_opened_in() {
    let other = Builder::new_current_thread().enable_all().build();
    let other = other.expect("a runtime");
    let inside = other.enter();
    let (connection, handle) = ctnetlink::new_connection().expect("a connection");
    drop(inside);
    // On a thread outside of this runtime, because a runtime waits for its threads.
    let shut_down = thread::spawn(move || drop(other));
    shut_down.join().expect("a runtime that shuts down");
    tokio::spawn(connection);
    handle.create(new(1)).await.expect("a flow");
    assert!(handle.get(udp(1)).await.expect("an answer").is_some());
}

async fn nothing_is_left() {
    let held = Held::at_rest().await;
    for _ in 0..20 {
        let (connection, handle) = ctnetlink::new_connection().expect("a connection");
        let task = tokio::spawn(connection);
        handle.get(udp(1)).await.expect("an answer");
        drop(handle);
        task.await.expect("a task").expect("success");
        drop(ctnetlink::new_connection().expect("a connection"));
    }
    held.again().await;

    let (connection, handle) = ctnetlink::new_connection().expect("a connection");
    let task = tokio::spawn(connection);
    fill(&handle, 600).await;
    let flows = list(&handle).await;
    task.abort();
    // The list does not belong to the connection.
    assert_eq!(rest(flows).await, 600);
    drop(handle);
    until(|| count::threads_named(WALK) == 0, || "it goes on".into()).await;
    held.again().await;
}
