//! Changes without an event, and how the mirror finds them.

use std::time::Duration;

use ctnetlink::testing::{EventFault, Kernel};
use ctnetlink::{Change, ErrorKind, MirrorState, RemovalCause, SyncCause};
use tokio::time::{advance, sleep};

use super::{Watch, audible};
use crate::{fill, new, run, udp};

/// Without events from the kernel, flows that timed out end, and flows that packets have refreshed
/// stay.
#[test]
fn flows_without_events_have_an_end() {
    run(async {
        let kernel = Kernel::release("6.18").expect("a release").events(0);
        let kernel = kernel.build();
        fill(&kernel, 10);
        let handle = kernel.connect();
        let watch = Watch::of(&kernel, handle.mirror()).await;
        watch.in_sync().await;
        kernel.advance(Duration::from_secs(500));
        kernel.packet(udp(1), 100);
        kernel.advance(Duration::from_secs(110));
        advance(Duration::from_secs(610)).await;
        let expired: Vec<_> = watch.reader.expired().map(|flow| flow.orig).collect();
        assert_eq!(expired.len(), 10, "as far as it knows");
        assert!(
            watch
                .reader
                .expired()
                .all(|flow| flow.timeout == Some(Duration::ZERO))
        );
        watch
            .until(|| watch.reader.len() == kernel.flows().len())
            .await;
        watch.in_sync().await;
        let told = watch.told();
        assert!(
            told.removals()
                .all(|(_, cause)| cause == RemovalCause::Gone)
        );
        assert_eq!(told.stats.syncs, 1, "nothing was listed again");
        drop(told);
        assert_eq!(watch.reader.expired().count(), 0);
    });
}

/// The mirror's clock jumps far ahead. Each flow is looked up, and no flow in the table is removed.
#[test]
fn a_clock_that_jumps() {
    run(async {
        let kernel = audible(|kernel| kernel);
        fill(&kernel, 2000);
        let handle = kernel.connect();
        let watch = Watch::of(&kernel, handle.mirror()).await;
        watch.in_sync().await;
        for jump in [3600, 30 * 24 * 3600, 20 * 365 * 24 * 3600] {
            advance(Duration::from_secs(jump)).await;
            assert_eq!(watch.reader.expired().count(), 2000);
            watch.until(|| watch.reader.expired().count() == 0).await;
            watch.in_sync().await;
            let times = watch.reader.snapshot().into_iter().map(|flow| flow.timeout);
            assert!(times.flatten().all(|left| left.as_secs() > 500));
        }
        assert_eq!(watch.told().removals().count(), 0);
        assert_eq!(watch.told().stats.asked, 3 * 2000);
    });
}

/// A flow that the kernel has no room for makes no event.
#[test]
fn a_table_at_its_limit() {
    run(async {
        let kernel = audible(|kernel| kernel.max_flows(20));
        fill(&kernel, 15);
        let handle = kernel.connect();
        let watch = Watch::of(&kernel, handle.mirror()).await;
        for n in 15..40 {
            let created = handle.create(new(n)).await;
            assert_eq!(created.is_ok(), n < 20, "{n}");
            watch.in_sync().await;
        }
        let swap =
            (0..20).flat_map(|n| [Change::Delete(udp(n).into()), Change::Create(new(n + 50))]);
        assert_eq!(handle.bulk(swap).await.expect("a report").applied, 40);
        watch.in_sync().await;
        assert_eq!(watch.reader.len(), 20);
    });
}

/// At its own limit, the mirror reports that it is not complete. It becomes complete when there is
/// room.
#[test]
fn a_mirror_at_its_limit() {
    run(async {
        let kernel = audible(|kernel| kernel);
        fill(&kernel, 100);
        let handle = kernel.connect();
        let watch = Watch::of(&kernel, handle.mirror().limit(60)).await;
        watch.until(|| watch.reader.len() == 60).await;
        sleep(Duration::from_secs(100)).await;
        assert!(!watch.reader.is_synced());
        assert_eq!(watch.told().stats.left_out, 40);
        assert_eq!(watch.told().stats.syncs, 1, "a list would be of no use");
        // The flows in the mirror are kept up to date.
        for flow in kernel.flows() {
            handle.set_mark(&flow, 5).await.expect("a mark");
        }
        sleep(Duration::from_secs(1)).await;
        assert!(
            watch
                .reader
                .snapshot()
                .iter()
                .all(|flow| flow.mark == Some(5))
        );
        let most = (0..50).map(|n| Change::Delete(udp(n).into()));
        assert_eq!(handle.bulk(most).await.expect("a report").applied, 50);
        watch.in_sync().await;
        assert_eq!(watch.reader.len(), 50);
        assert_eq!(watch.told().syncs().last(), Some(SyncCause::Room));
    });
}

/// While losses go on, it waits between lists, and applies the events that come.
#[test]
fn a_storm_that_goes_on() {
    run(async {
        let kernel = audible(|kernel| kernel);
        fill(&kernel, 10);
        let handle = kernel.connect();
        let watch = Watch::of(&kernel, handle.mirror()).await;
        watch.in_sync().await;
        for second in 0..600u32 {
            for part in 0..5 {
                kernel.on_event(0, EventFault::NoMemory);
                let mark = second * 5 + part;
                for n in 1..3 {
                    handle.set_mark(udp(n), mark).await.expect("a mark");
                    sleep(Duration::from_millis(100)).await;
                }
            }
            let mark = || watch.reader.get(udp(2)).and_then(|flow| flow.mark);
            watch.until(|| mark() == Some(second * 5 + 4)).await;
        }
        watch.in_sync().await;
        let told = watch.told();
        assert_eq!(told.stats.overruns, 3000);
        // If the mirror runs late, the next event is lost too.
        assert!((3000..3100).contains(&told.stats.lost), "{:?}", told.stats);
        // One list in 10 s, with five losses a second. On a busy machine the paused clock jumps
        // forward.
        assert!((2..=300).contains(&told.stats.syncs), "{:?}", told.stats);
        let mut causes = told.syncs().skip(1);
        assert!(causes.all(|cause| matches!(cause, SyncCause::Lost { .. })));
    });
}

/// A waiting reader gets an error, and the flows stay.
#[test]
fn a_mirror_that_is_gone() {
    run(async {
        let kernel = audible(|kernel| kernel);
        fill(&kernel, 3);
        let handle = kernel.connect();
        let mirror = handle.mirror().await.expect("a mirror");
        let reader = mirror.reader();
        let running = tokio::spawn(mirror.run());
        reader.synced().await.expect("a mirror");
        running.abort();
        assert!(running.await.expect_err("it was aborted").is_cancelled());
        assert!(!reader.is_synced());
        assert!(matches!(reader.state(), MirrorState::Stale { lost: 0, .. }));
        assert_eq!(reader.len(), 3);
        assert!(reader.backlog().is_none());
        // A change is reported once.
        let _ = reader.changed().await;
        let error = reader.changed().await.expect_err("no more");
        assert_eq!(error.kind(), ErrorKind::Closed);
    });
}
