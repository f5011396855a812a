//! Opening a connection: its rights, its requests, and its errors.

use std::future::IntoFuture;
use std::time::Duration;

use ctnetlink::{ErrorKind, Table};
use futures::future::join_all;
use libtest_mimic::Trial;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::time::{Instant, sleep};

use super::{alone, connect, fill, list, rest, udp, until};
use crate::support::count;
use crate::support::namespace::block_on;

pub(super) fn tests() -> Vec<Trial> {
    alone!("lanes::opening":
        without_proc,
        without_a_free_descriptor,
        beside_a_flush,
        a_thousand_lists_at_once,
    )
}

/// As in a chroot: /proc is an empty directory.
async fn without_proc() {
    fill(&connect(), 3).await;
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("private mounts");
        let tmpfs = Some("tmpfs");
        mount(tmpfs, "/proc", tmpfs, MsFlags::empty(), None::<&str>).expect("an empty /proc");
        assert!(std::fs::metadata("/proc/self").is_err());
        block_on(async {
            let handle = ctnetlink::connect().await.expect("a connection");
            assert!(handle.get(udp(1)).await.expect("an answer").is_some());
            assert_eq!(rest(list(&handle).await).await, 3);
            let report = handle
                .bulk([ctnetlink::Change::Delete(udp(1).into())])
                .await;
            assert_eq!(report.expect("a report").applied, 1);
            handle.flush(Table::Conntrack).await.expect("a flush");
        });
    });
    thread.join().expect("success");
}

async fn without_a_free_descriptor() {
    let handle = connect();
    fill(&handle, 1).await;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit");
    setrlimit(Resource::RLIMIT_NOFILE, 1, hard).expect("a limit");
    let listed = handle.list(Table::Conntrack).await.map(drop);
    let opened = ctnetlink::new_connection().map(drop);
    let got = handle.get(udp(0)).await;
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("the limit");
    assert!(got.expect("an answer").is_some());
    for failed in [listed, opened] {
        let error = failed.expect_err("no descriptor is free");
        assert_eq!(error.errno(), Some(nix::libc::EMFILE), "{error}");
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(!error.to_string().contains("CAP_"), "{error}");
    }
}

/// Opening does not need the kernel's lock, so no timer is late.
async fn beside_a_flush() {
    let handle = connect();
    let mut most = 0;
    // On a busy machine, a flush may end before this thread runs.
    for _ in 0..50 {
        fill(&handle, 5000).await;
        let flush = tokio::spawn(handle.flush(Table::Conntrack).into_future());
        let mut opened = 0;
        while !flush.is_finished() {
            let (_connection, _handle) = ctnetlink::new_connection().expect("a connection");
            opened += 1;
            tokio::task::yield_now().await;
        }
        flush.await.expect("a task").expect("a flush");
        most = most.max(opened);
        // A flush takes as long as thousands of these.
        if most > 10 {
            return;
        }
    }
    // A single CPU cannot run both at the same time.
    let cpus = std::thread::available_parallelism().expect("a number");
    assert!(cpus.get() == 1, "{most} opened at most");
}

/// Waiting lists need no thread, and do not delay other requests.
async fn a_thousand_lists_at_once() {
    let handle = connect();
    fill(&handle, 10).await;
    let most = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let seen = most.clone();
    let watch = tokio::spawn(async move {
        loop {
            let threads = count::threads_named(super::WALK);
            seen.fetch_max(threads, std::sync::atomic::Ordering::Relaxed);
            sleep(Duration::from_millis(20)).await;
        }
    });
    let began = Instant::now();
    let lists = join_all((0..1000).map(|_| handle.list(Table::Conntrack).into_future()));
    let (first, rest_of_them) = tokio::join!(
        async {
            // A request on a single flow overtakes the lists.
            handle.get(udp(1)).await.expect("an answer");
            began.elapsed()
        },
        lists
    );
    let all = began.elapsed();
    assert!(first < all / 2, "{first:?} of {all:?}");
    for list in rest_of_them {
        drop(list.expect("a stream"));
    }
    watch.abort();
    let most = most.load(std::sync::atomic::Ordering::Relaxed);
    assert!((1..=8).contains(&most), "{most} threads");
    until(
        || count::threads_named(super::WALK) == 0,
        || "they stay".into(),
    )
    .await;
}
