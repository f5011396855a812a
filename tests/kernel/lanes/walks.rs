//! Walks of the table, and their readers.

use std::future::IntoFuture;

use ctnetlink::Table;
use futures::future::{join_all, try_join_all};
use futures::{StreamExt, TryStreamExt};
use libtest_mimic::Trial;

use super::{Held, WALK, alone, connect, fill, list, rest, udp, until};
use crate::support::namespace::block_on;
use crate::support::{count, patience};

/// More flows than a walk reads ahead.
const FLOWS: u16 = 2500;

pub(super) fn tests() -> Vec<Trial> {
    alone!("lanes::walks":
        two_hundred_slow_readers,
        requests_overtake_walks,
        a_walk_waits_for_its_reader,
        runtimes_take_turns,
        a_connection_at_rest_holds_up_nobody,
    )
}

async fn two_hundred_slow_readers() {
    let handle = connect();
    fill(&handle, FLOWS).await;
    let held = Held::at_rest().await;
    let mut streams = join_all((0..200).map(|_| list(&handle))).await;
    for flows in &mut streams {
        flows.next().await.expect("an item").expect("a flow");
    }
    // All lists wait at the same time. Each has a socket, and none has a thread.
    until(|| count::threads_named(WALK) == 0, || "they go on".into()).await;
    assert_eq!(Held::now().fds, held.fds + 200);
    handle.set_mark(udp(1), 7).await.expect("a mark");
    for flows in streams.drain(..4) {
        let marks = flows.map_ok(|flow| flow.mark).try_collect::<Vec<_>>();
        assert_eq!(marks.await.expect("flows").len(), usize::from(FLOWS) - 1);
    }
    drop(streams);
    held.again().await;
    assert_eq!(rest(list(&handle).await).await, FLOWS.into());
}

/// Sets marks one after the other, while several lists are not read, and while a flush and lists
/// walk.
async fn requests_overtake_walks() {
    let handle = connect();
    fill(&handle, FLOWS).await;
    let mut streams = join_all((0..8).map(|_| list(&handle))).await;
    for n in 0..FLOWS {
        handle.set_mark(udp(n), u32::from(n)).await.expect("a mark");
    }
    for flows in &mut streams {
        flows.next().await.expect("an item").expect("a flow");
    }
    let walks = tokio::spawn(async move { join_all(streams.into_iter().map(rest)).await });
    let mut during = 0;
    while !walks.is_finished() {
        handle
            .set_mark(udp(during % FLOWS), 1)
            .await
            .expect("a mark");
        during = during.wrapping_add(1);
    }
    let counts = walks.await.expect("the walks");
    assert_eq!(counts, [usize::from(FLOWS) - 1; 8]);

    let (first, last) = (udp(0), udp(FLOWS));
    let flush = tokio::spawn(handle.flush(Table::Conntrack).into_future());
    let mut before = 0;
    while !flush.is_finished() {
        handle.get(last).await.expect("an answer");
        before += 1;
    }
    flush.await.expect("the flush").expect("success");
    assert_eq!(handle.get(first).await.expect("an answer"), None);
    assert!(before >= 1, "no request beside the flush");
}

async fn a_walk_waits_for_its_reader() {
    let handle = connect();
    fill(&handle, FLOWS).await;
    let held = Held::at_rest().await;
    let mut flows = list(&handle).await;
    flows.next().await.expect("an item").expect("a flow");
    until(|| count::threads_named(WALK) == 0, || "it goes on".into()).await;
    assert_eq!(Held::now().fds, held.fds + 1);
    drop(flows);
    held.again().await;
}

/// Requests and walks of several threads. Each thread has its own runtime and connection.
async fn runtimes_take_turns() {
    fill(&connect(), 8).await;
    let rounds = patience::rounds(5) as u32;
    let threads: Vec<_> = (0..4_u32)
        .map(|thread| {
            std::thread::spawn(move || {
                block_on(async {
                    let handle = connect();
                    for round in 0..rounds {
                        let marks = (0..200).map(|n| handle.set_mark(udp(n % 8), thread + round));
                        let marks = try_join_all(marks.map(IntoFuture::into_future));
                        let lists =
                            join_all((0..2).map(|_| async { rest(list(&handle).await).await }));
                        let (marks, lists) = futures::join!(marks, lists);
                        marks.expect("marks");
                        assert_eq!(lists, [8, 8]);
                    }
                });
            })
        })
        .collect();
    until(
        || threads.iter().all(|thread| thread.is_finished()),
        || "they hang".into(),
    )
    .await;
    for thread in threads {
        thread.join().expect("a thread");
    }
}

/// Connections that have something to send, and are not polled.
async fn a_connection_at_rest_holds_up_nobody() {
    let handle = connect();
    fill(&handle, 8).await;
    let mut resting = Vec::new();
    for round in 0..20 {
        let walking = tokio::spawn(handle.list(Table::Conntrack).into_future());
        tokio::task::yield_now().await;
        let (mut connection, other) = ctnetlink::new_connection().expect("a connection");
        let mut mark = other.set_mark(udp(1), round).into_future();
        assert!(futures::poll!(&mut mark).is_pending());
        assert!(futures::poll!(&mut connection).is_pending());
        resting.push((connection, mark));
        handle.set_mark(udp(2), round).await.expect("a mark");
        let flows = walking.await.expect("a task").expect("a stream");
        assert_eq!(rest(flows).await, 8);
        assert_eq!(rest(list(&handle).await).await, 8);
    }
    for (connection, mark) in resting {
        tokio::spawn(connection);
        mark.await.expect("a mark");
    }
}
