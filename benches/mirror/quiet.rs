//! Checks that the mirror is equal to the table after each storm.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ctnetlink::{ConntrackHandle, Delta, MirrorReader, MirrorStats};
use futures::StreamExt;
use tokio::time::sleep;

use crate::common::current_thread;
use crate::common::process::Outcome;
use crate::compare::{Store, differences, put, store, table};
use crate::storm::{self, Changer};

const STORMS: &str = "CTNETLINK_STORMS";
const LASTS: Duration = Duration::from_secs(10);
/// The mirror must be in sync within this time.
const QUIET: Duration = Duration::from_secs(5);
/// Half of the kernel's own default, `net.core.rmem_default`, because the kernel doubles the
/// number.
const DEFAULT_QUEUE: usize = 212_992 / 2;

/// What a mirror reports.
#[derive(Default)]
struct Told {
    /// The flows that result from its deltas.
    store: Store,
    stats: MirrorStats,
}

impl Told {
    fn take(&mut self, delta: Delta) {
        match delta {
            Delta::Added(flow) | Delta::Updated { after: flow, .. } => put(&mut self.store, flow),
            Delta::Removed { flow, .. } => {
                self.store.remove(&(flow.orig, flow.zone));
            }
            _ => {}
        }
    }
}

/// Runs storms, each of which must lose events. The outcome counts differences as losses, and the
/// time of the storms.
pub(crate) fn storms(flows: usize) -> Outcome {
    let storms = match std::env::var(STORMS) {
        Ok(number) => number.parse().expect("a number of storms"),
        Err(_) => 10,
    };
    storm::fill(flows);
    let mut changer = Changer::ready(flows);
    current_thread().block_on(async {
        let handle = ctnetlink::connect().await.expect("a connection");
        let mirror = handle.mirror().receive_buffer(DEFAULT_QUEUE);
        let mut mirror = mirror.await.expect("a mirror");
        let reader = mirror.reader();
        let told = Arc::new(Mutex::new(Told::default()));
        let shared = told.clone();
        tokio::spawn(async move {
            while let Some(delta) = mirror.next().await {
                let mut told = shared.lock().expect("no panic");
                told.take(delta.expect("a delta"));
                told.stats = mirror.stats();
            }
        });
        reader.synced().await.expect("a mirror");
        let (mut changes, mut spent, mut differ) = (0, Duration::ZERO, 0);
        for number in 1..=storms {
            let before = told.lock().expect("no panic").stats;
            changer.turn();
            sleep(LASTS).await;
            changer.turn();
            let over = tokio::task::spawn_blocking(move || {
                let over = changer.over();
                (changer, over)
            });
            let (more, time);
            (changer, (more, time)) = over.await.expect("a thread");
            let (took, found) = quiet(&handle, &reader, &told).await;
            let after = told.lock().expect("no panic").stats;
            let overruns = after.overruns - before.overruns;
            assert!(overruns > 0, "the mirror lost nothing");
            eprintln!(
                "  storm {number}: {:.0} changes per s, {overruns} overruns, {} lists, in sync after {:.3} s, \
                 {found} differences",
                more as f64 / time.as_secs_f64(),
                after.syncs - before.syncs,
                took.as_secs_f64(),
            );
            changes += more;
            spent += time;
            differ += found;
        }
        Outcome {
            wall: spent,
            lost: Some(differ),
            ..Outcome::new(Instant::now(), changes)
        }
    })
}

/// Returns the time until the mirror is in sync, and the number of flows in which the mirror and
/// its deltas differ from the table.
async fn quiet(
    handle: &ConntrackHandle,
    reader: &MirrorReader,
    told: &Mutex<Told>,
) -> (Duration, usize) {
    let start = Instant::now();
    while !reader.is_synced() && start.elapsed() < QUIET {
        sleep(Duration::from_millis(1)).await;
    }
    let took = start.elapsed();
    let held = store(reader.snapshot());
    let is_stale = usize::from(!reader.is_synced());
    let listed = table(handle).await;
    let given = differences(&listed, &told.lock().expect("no panic").store);
    (took, is_stale + differences(&listed, &held) + given)
}
