//! Runtimes: of both kinds, one that shuts down, and the stream without its connection.

use std::thread;

use ctnetlink::{ErrorKind, Event};
use futures::StreamExt;
use futures::stream::FusedStream;
use libtest_mimic::Trial;
use tokio::runtime::Builder;

use super::{Order, changes, mark, next};
use crate::common::{connect, new, udp};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["events::runtime":
        on_many_threads,
        a_runtime_that_shuts_down_ends_it,
        it_outlives_its_connection,
        streams_hear_the_same,
        under_a_paused_clock,
    ]
}

async fn on_many_threads() {
    let here = std::fs::File::open("/proc/thread-self/ns/net").expect("the namespace");
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = Builder::new_multi_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let options = ctnetlink::Options::new().network_namespace(here);
                let handle = options.connect().await.expect("a connection");
                let mut events = changes(&handle).await;
                let sender = tokio::spawn(async move { mark(&handle, 1..=20_000).await });
                let reader = tokio::spawn(async move {
                    let mut order = Order::default();
                    while order.sent() < 20_000 {
                        order.take(&next(&mut events).await);
                    }
                    events.stats()
                });
                sender.await.expect("the sender");
                let stats = reader.await.expect("the reader");
                assert_eq!(stats.received + stats.lost, 20_000);
            });
        });
        thread.join().expect("the runtime");
    });
}

async fn a_runtime_that_shuts_down_ends_it() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let here = std::fs::File::open("/proc/thread-self/ns/net").expect("the namespace");
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let events = runtime.block_on(async move {
            let options = ctnetlink::Options::new().network_namespace(here);
            let handle = options.connect().await.expect("a connection");
            changes(&handle).await
        });
        drop(runtime);
        sender.send(events).expect("the test");
    })
    .join()
    .expect("a thread");
    let mut events = receiver.recv().expect("a stream");
    assert!(!events.is_terminated());
    let error = events
        .next()
        .await
        .expect("an error")
        .expect_err("no runtime");
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(events.next().await.is_none());
    assert!(events.is_terminated());
}

async fn it_outlives_its_connection() {
    let (connection, handle) = ctnetlink::new_connection().expect("a connection");
    let task = tokio::spawn(connection);
    let mut events = handle.events().await.expect("a stream");
    let late = handle.events();
    drop(handle);
    task.abort();
    let _ = task.await;
    let error = late.await.expect_err("the connection is gone");
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    connect().create(new(1)).await.expect("a flow");
    let event = next(&mut events).await;
    assert!(matches!(event, Event::New { flow, .. } if flow.orig == udp(1)));
}

async fn streams_hear_the_same() {
    let handle = connect();
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(handle.events().await.expect("a stream"));
    }
    for n in 0..50 {
        handle.create(new(n)).await.expect("a flow");
    }
    let mut heard = Vec::new();
    for events in &mut streams {
        let mut flows = Vec::new();
        for _ in 0..50 {
            flows.push(next(events).await);
        }
        heard.push(flows);
    }
    assert_eq!(heard[0], heard[1]);
    assert_eq!(heard[1], heard[2]);
}

/// A paused clock jumps forward when no task can run. No event may be lost by that.
async fn under_a_paused_clock() {
    let handle = connect();
    let mut events = changes(&handle).await;
    tokio::time::pause();
    let mut order = Order::default();
    let sender = tokio::spawn(async move {
        for mark in 1..=300 {
            handle.set_mark(udp(1), mark).await.expect("a mark");
        }
    });
    while order.sent() < 300 {
        // Without a timeout, because the clock would jump to it.
        let event = events.next().await.expect("it goes on");
        order.take(&event.expect("an event"));
    }
    tokio::time::resume();
    sender.await.expect("the sender");
}
