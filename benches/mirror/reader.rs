//! A reader that looks up flows while the mirror is fully busy.

use std::time::{Duration, Instant};

use ctnetlink::FlowKey;

use crate::common::process::Outcome;
use crate::storm::{self, Changer};

/// The number of lookups between two reads of the clock.
const BATCH: usize = 64;
const LASTS: Duration = Duration::from_secs(2);
const STRIDE: usize = 7919;

/// Uses the median, because a batch during which the thread was not scheduled says nothing about
/// the reader.
pub(crate) fn beside_a_storm(flows: usize) -> Outcome {
    storm::fill(flows);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let reader = runtime.block_on(async {
        let handle = ctnetlink::connect().await.expect("a connection");
        let mirror = handle.mirror().await.expect("a mirror");
        let reader = mirror.reader();
        tokio::spawn(mirror.run());
        reader.synced().await.expect("a mirror");
        reader
    });
    // Keys of either direction, with NAT and without.
    let keys: Vec<_> = reader
        .snapshot()
        .iter()
        .flat_map(|flow| {
            let reply = FlowKey::reply(flow.reply).zone(flow.zone);
            [FlowKey::from(flow), reply]
        })
        .collect();
    // Keys are read in order, but their flows are spread over the memory.
    let keys: Vec<_> = (0..keys.len())
        .map(|n| keys[n * STRIDE % keys.len()])
        .collect();
    let mut changer = Changer::ready(flows);
    changer.turn();
    let mut batches = Vec::new();
    let (mut at, mut found) = (0, 0);
    let start = Instant::now();
    while start.elapsed() < LASTS {
        let start = Instant::now();
        for _ in 0..BATCH {
            at = (at + 1) % keys.len();
            found += usize::from(reader.get(keys[at]).is_some());
        }
        batches.push(start.elapsed());
    }
    assert!(found > 0, "nothing was found");
    changer.turn();
    changer.over();
    batches.sort();
    let median = batches[batches.len() / 2];
    let gets = batches.len() * BATCH;
    Outcome {
        wall: median * batches.len() as u32,
        ..Outcome::new(start, gets)
    }
}
