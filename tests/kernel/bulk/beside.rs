//! A bulk request together with others: single requests, other bulk requests, the end of the
//! connection, another namespace.

use std::future::IntoFuture;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::Duration;

use ctnetlink::{Change, ConntrackHandle, ErrorKind, Options, Patch, Report, Result};
use futures::{StreamExt, TryStreamExt, stream};
use libtest_mimic::Trial;
use nix::sched::{CloneFlags, setns};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::{BATCH, bulk, connect, counts, fill, found, mark, marks, new, udp};
use crate::common::{Held, alone, namespace, threads_in, until};
use crate::support::namespace::block_on;
use crate::support::patience;

pub(super) fn tests() -> Vec<Trial> {
    let mut tests = alone!("bulk::beside":
        in_another_namespace,
        on_a_thread_elsewhere,
        without_a_file_descriptor_nothing_begins,
    );
    tests.extend(crate::trials!["bulk::beside":
        requests_go_on,
        two_at_once,
        many_at_once,
        it_has_all_the_time,
        nothing_begins_on_a_closed_connection,
        what_has_begun_outlives_the_connection,
        what_has_begun_keeps_the_connection,
    ]);
    tests
}

const ALL: u16 = 1000;

async fn requests_go_on() {
    let handle = connect();
    fill(&handle, ALL).await;
    let requests = Arc::new(AtomicU64::new(0));
    let made = requests.clone();
    let over = Arc::new(AtomicBool::new(false));
    let is_over = over.clone();
    let updates = (0..40 * ALL).map(|n| mark(n % ALL, 7));
    let mut first = None;
    let report = handle.bulk(updates).on_progress(move |report| {
        let made = made.load(Ordering::Relaxed);
        let before = *first.get_or_insert(made);
        if report.done() == 40 * u64::from(ALL) {
            is_over.store(true, Ordering::Relaxed);
            assert!(
                made > before,
                "no request between the first send and the last"
            );
        }
        ControlFlow::Continue(())
    });
    let report = tokio::spawn(report.into_future());
    while !over.load(Ordering::Relaxed) {
        assert!(handle.get(udp(1)).await.expect("an answer").is_some());
        handle.set_mark(udp(2), 7).await.expect("a mark");
        handle.delete(udp(ALL)).await.expect_err("not there");
        requests.fetch_add(1, Ordering::Relaxed);
    }
    let report = report.await.expect("a task").expect("a report");
    assert_eq!(counts(&report), (40 * u64::from(ALL), 0, 0));
}

/// Each request waits for the other one after its first send.
async fn two_at_once() {
    let handle = connect();
    fill(&handle, ALL).await;
    let both = Arc::new(Barrier::new(2));
    let bulk = |values: u32| {
        let (both, mut first) = (both.clone(), true);
        let updates = (0..ALL).map(move |n| mark(n, values + u32::from(n) % 2));
        let bulk = handle.bulk(updates).on_progress(move |_| {
            if std::mem::take(&mut first) {
                both.wait();
            }
            ControlFlow::Continue(())
        });
        bulk.into_future()
    };
    let (left, right) = futures::join!(bulk(10), bulk(20));
    for report in [left, right] {
        assert_eq!(counts(&report.expect("a report")), (ALL.into(), 0, 0));
    }
    for mark in marks(&handle, 0..ALL).await {
        assert!(
            [Some(10), Some(11), Some(20), Some(21)].contains(&mark),
            "{mark:?}"
        );
    }
}

/// Each request has its own report.
async fn many_at_once() {
    let handle = connect();
    let bulks = (0..20_u16).map(|n| {
        let creates = (n * 100..(n + 1) * 100 + 50).map(|n| Change::Create(new(n)));
        let deletes = (n * 100..n * 100 + 10).map(|n| Change::Delete(udp(n + 10_000).into()));
        handle.bulk(creates.chain(deletes)).into_future()
    });
    let reports = futures::future::join_all(bulks).await;
    let (mut applied, mut failed) = (0, 0);
    for report in reports {
        let report = report.expect("a report");
        assert_eq!((report.gone, report.done()), (10, 160), "{report:?}");
        applied += report.applied;
        failed += report.exists;
    }
    // Half of the flows are created by two requests, and the second one of the two fails.
    assert_eq!((applied, failed), (2050, 950));
    assert_eq!(marks(&handle, 0..2050).await, vec![Some(0); 2050]);
}

async fn it_has_all_the_time() {
    const SHORT: Duration = Duration::from_millis(1);
    fill(&connect(), ALL).await;
    let handle = Options::new().request_timeout(SHORT).connect().await;
    let handle = handle.expect("a connection");
    let slow = |_: &Report| {
        thread::sleep(5 * SHORT);
        ControlFlow::Continue(())
    };
    let updates = (0..ALL).map(|n| mark(n, 7));
    let report = handle.bulk(updates).on_progress(slow).await;
    assert_eq!(counts(&report.expect("a report")), (ALL.into(), 0, 0));

    let reads = handle.get_many((0..ALL).map(|n| {
        if n % 100 == 0 {
            thread::sleep(5 * SHORT);
        }
        udp(n)
    }));
    let mut found = reads.await.expect("a stream");
    sleep(5 * SHORT).await;
    let mut flows = 0;
    while let Some((_, flow)) = found.try_next().await.expect("a flow") {
        assert_eq!(flow.expect("a flow").mark, Some(7));
        flows += 1;
    }
    assert_eq!(flows, ALL);
}

fn closed<T: std::fmt::Debug>(result: Result<T>) {
    let error = result.expect_err("it is closed");
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
}

/// A source that must not be read.
fn never() -> impl Iterator<Item = u16> + Send {
    std::iter::from_fn(|| panic!("it was asked"))
}

async fn nothing_begins_on_a_closed_connection() {
    let (connection, handle) = ctnetlink::new_connection().expect("a connection");
    drop(connection);
    let changes = || never().map(|n| mark(n, 1));
    let keys = || never().map(udp);
    closed(handle.bulk(changes()).await);
    closed(handle.bulk_stream(stream::iter(changes())).await);
    closed(handle.get_many(keys()).await);
    closed(handle.get_many_stream(stream::iter(keys())).await);
}

async fn what_has_begun_outlives_the_connection() {
    let other = connect();
    fill(&other, ALL).await;
    let (connection, handle) = ctnetlink::new_connection().expect("a connection");
    let connection = tokio::spawn(connection);
    let (reached, at) = oneshot::channel();
    let (closed, go_on) = mpsc::channel::<()>();
    let mut reached = Some(reached);
    let updates = (0..ALL).map(|n| mark(n, 7));
    let report = handle.bulk(updates).on_progress(move |_| {
        if let Some(reached) = reached.take() {
            reached.send(()).expect("the test");
            let _ = go_on.recv();
        }
        ControlFlow::Continue(())
    });
    let report = tokio::spawn(report.into_future());
    let reads = handle.get_many((0..ALL).map(udp));
    let reads = reads.await.expect("a stream");
    at.await.expect("a send");
    connection.abort();
    connection.await.expect_err("aborted");
    drop(closed);
    let report = report.await.expect("a task").expect("a report");
    assert_eq!(counts(&report), (ALL.into(), 0, 0));
    assert_eq!(reads.count().await, ALL.into());
}

async fn what_has_begun_keeps_the_connection() {
    let (connection, handle) = ctnetlink::new_connection().expect("a connection");
    let connection = tokio::spawn(connection);
    fill(&handle, ALL).await;
    let mut found = handle.get_many((0..ALL).map(udp)).await.expect("a stream");
    let (mut sender, receiver) = futures::channel::mpsc::channel(1);
    let report = tokio::spawn(handle.bulk_stream(receiver).into_future());
    drop(handle);
    sleep(Duration::from_millis(50)).await;
    sender.try_send(mark(1, 7)).expect("a bulk");
    drop(sender);
    assert_eq!(report.await.expect("a task").expect("a report").applied, 1);
    sleep(Duration::from_millis(50)).await;
    assert!(!connection.is_finished());
    assert!(found.next().await.is_some());
    drop(found);
    let ended = timeout(patience::answer(), connection).await;
    ended.expect("an end").expect("a task").expect("success");
}

/// Creates a flow with another mark in each namespace.
async fn each_in_its_own(here: &ConntrackHandle, there: &ConntrackHandle) {
    for (handle, value) in [(here, 1), (there, 2)] {
        let creates = (0..ALL).map(move |n| Change::Create(new(n).mark(value)));
        assert_eq!(counts(&bulk(handle, creates).await), (ALL.into(), 0, 0));
    }
    for (handle, value) in [(here, 1), (there, 2)] {
        let updates = (0..ALL / 2).map(move |n| mark(n, value + 2));
        assert_eq!(
            counts(&bulk(handle, updates).await),
            ((ALL / 2).into(), 0, 0)
        );
    }
    let expected = |value| (0..ALL).map(move |n| Some(value + 2 * u32::from(n < ALL / 2)));
    assert!(marks(here, 0..ALL).await.into_iter().eq(expected(1)));
    assert!(marks(there, 0..ALL).await.into_iter().eq(expected(2)));
    let gone = bulk(there, (0..ALL).map(|n| Change::Delete(udp(n).into()))).await;
    assert_eq!(gone.applied, ALL.into());
    assert!(found(there, [udp(1)]).await[0].is_none());
    assert!(found(here, [udp(1)]).await[0].is_some());
}

async fn in_another_namespace() {
    let other = namespace();
    let file = other.try_clone().expect("a file");
    let there = Options::new().network_namespace(file);
    let there = there.connect().await.expect("a connection");
    each_in_its_own(&connect(), &there).await;
    until(|| threads_in(&other) == 0, || "a thread is astray".into()).await;
}

/// A bulk request works in the namespace of its connection, whichever thread starts it.
async fn on_a_thread_elsewhere() {
    let handle = connect();
    fill(&handle, BATCH as u16 + 1).await;
    let other = namespace();
    let inside = thread::spawn(move || {
        setns(&other, CloneFlags::CLONE_NEWNET).expect("to enter the other namespace");
        block_on(async {
            let theirs = connect();
            let patch = Patch::new().mark(7);
            let update = Change::Update(udp(BATCH as u16).into(), patch);
            let ours = bulk(&handle, [update.clone()]).await;
            let theirs = bulk(&theirs, [update]).await;
            let marks = marks(&handle, 0..BATCH as u16 + 1).await;
            (ours.applied, theirs.gone, marks.last().copied().flatten())
        })
    });
    // This thread polls the connection.
    until(|| inside.is_finished(), || "it hangs".into()).await;
    assert_eq!(inside.join().expect("a thread"), (1, 1, Some(7)));
}

async fn without_a_file_descriptor_nothing_begins() {
    let handle = connect();
    fill(&handle, 10).await;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit");
    let held = Held::at_rest().await;
    setrlimit(Resource::RLIMIT_NOFILE, 0, hard).expect("a limit");
    let report = handle.bulk(never().map(|n| mark(n, 1))).await;
    let found = handle.get_many(never().map(udp)).await;
    for begun in [report.map(drop), found.map(drop)] {
        let error = begun.expect_err("no socket");
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert_eq!(error.errno(), Some(nix::libc::EMFILE), "{error}");
    }
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("a limit");
    assert_eq!(bulk(&handle, (0..10).map(|n| mark(n, 1))).await.applied, 10);
    held.again().await;
}
