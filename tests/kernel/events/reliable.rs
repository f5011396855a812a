//! `reliable()`: destroy events that had no room are repeated, and losses are counted.

use std::collections::BTreeSet;

use ctnetlink::{Event, EventKinds, Table};
use libtest_mimic::Trial;

use super::{SMALL, next};
use crate::common::{connect, fill, new, udp};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["events::reliable":
        every_end_arrives,
        a_storm_is_counted,
    ]
}

async fn every_end_arrives() {
    const FLOWS: u16 = 600;
    let handle = connect();
    let mut events = handle
        .events()
        .kinds(EventKinds::DESTROY)
        .receive_buffer(SMALL / 2)
        .reliable()
        .await
        .expect("a stream");
    fill(&handle, FLOWS).await;
    handle.flush(Table::Conntrack).await.expect("a flush");
    let mut ended = BTreeSet::new();
    let mut lost = 0;
    while ended.len() < usize::from(FLOWS) {
        match next(&mut events).await {
            Event::Destroy { flow, .. } => {
                ended.insert(flow.orig);
            }
            Event::Overrun { lost: more } => lost += more,
            other => panic!("{other}"),
        }
    }
    assert!(lost >= u64::from(FLOWS) - 166, "{lost} were lost at first");
    assert!((0..FLOWS).all(|n| ended.contains(&udp(n))));
}

/// With the reliable option, the kernel reports no loss and continues to queue. The reader stops
/// and starts.
async fn a_storm_is_counted() {
    let handle = connect();
    handle.create(new(1)).await.expect("a flow");
    let mut events = handle
        .events()
        .kinds(EventKinds::UPDATE)
        .receive_buffer(SMALL / 2)
        .reliable()
        .await
        .expect("a stream");
    let mut sent = 0;
    for round in 0..30 {
        let storm = {
            let handle = handle.clone();
            tokio::spawn(async move { super::mark(&handle, sent + 1..=sent + 2000).await })
        };
        sent += 2000;
        if round % 2 == 0 {
            storm.await.expect("the storm");
        }
        let mut last = 0;
        while events.stats().received + events.stats().lost < u64::from(sent) {
            match next(&mut events).await {
                Event::Update { flow, .. } | Event::New { flow, .. } => {
                    assert!(flow.mark > Some(last), "out of order: {flow}");
                    last = flow.mark.unwrap_or_default();
                }
                Event::Overrun { lost } => assert_ne!(lost, 0),
                other => panic!("{other}"),
            }
        }
        let stats = events.stats();
        assert_eq!(stats.received + stats.lost, u64::from(sent), "{stats:?}");
    }
    assert!(events.stats().lost > 15 * 1800, "{:?}", events.stats());
}
