//! Small receive queues: fewer changes per send, so that every answer has room.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ctnetlink::{Change, Options, Patch, Report, Status};
use libtest_mimic::Trial;

use super::{connect, counts, fill, mark, marks, new, udp};
use crate::forger::{drops, new_port, ports};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["bulk::queue":
        no_answer_is_lost,
        changes_that_take_a_look,
    ]
}

/// The requested sizes in bytes. The kernel doubles them, to at least 2304.
const SIZES: [usize; 7] = [0, 1, 1000, 3000, 4096, 8192, 20_000];

const ALL: u16 = 1000;

/// Runs a bulk request with a receive queue of this size, and checks that no answer is lost.
async fn watched(size: usize, changes: Vec<Change>) -> Report {
    let options = Options::new().receive_buffer(size);
    let handle = options.connect().await.expect("a connection");
    let others = ports();
    let total = changes.len() as u64;
    let mut looks = 0;
    let looked = Arc::new(AtomicU64::new(0));
    let last = looked.clone();
    let report = handle.bulk(changes).on_progress(move |report| {
        let done = report.done();
        looks += 1;
        // Not after each send, because reading the drops takes longer than a send.
        if looks % 10 == 0 || done == total {
            assert_eq!(drops(new_port(&others)), 0, "{size} bytes: {report}");
            last.store(done, Ordering::Relaxed);
        }
        ControlFlow::Continue(())
    });
    let report = report.await.expect("a report");
    assert_eq!(looked.load(Ordering::Relaxed), total);
    report
}

/// Half of the changes fail or find no flow. The kernel answers each of those.
async fn no_answer_is_lost() {
    let handle = connect();
    fill(&handle, ALL).await;
    for (size, round) in SIZES.into_iter().zip(1..) {
        let changes = (0..2 * ALL).map(|n| match n % 4 {
            1 => Change::Create(new(n / 2)),
            2 => mark(n + ALL, round),
            _ => mark(n / 4 * 2 + n % 2, round),
        });
        let changes: Vec<_> = changes.collect();
        let report = watched(size, changes).await;
        let quarter = u64::from(ALL) / 2;
        assert_eq!(counts(&report), (2 * quarter, quarter, 0), "{size} bytes");
        assert_eq!(report.exists, quarter, "{report}");
        assert_eq!(marks(&handle, 0..ALL).await, vec![Some(round); ALL.into()]);
    }
}

/// The answer to a lookup is longer than an error.
async fn changes_that_take_a_look() {
    let handle = connect();
    for (size, round) in SIZES.into_iter().zip(1..) {
        fill(&handle, ALL).await;
        let patch = Patch::new().status(Status::ASSURED).mark(round);
        let updates = (0..2 * ALL).map(|n| Change::Update(udp(n).into(), patch.clone()));
        let report = watched(size, updates.collect()).await;
        let half = u64::from(ALL);
        assert_eq!(counts(&report), (half, half, 0), "{size} bytes");
        assert_eq!(marks(&handle, 0..ALL).await, vec![Some(round); ALL.into()]);
        let deletes = (0..2 * ALL).map(|n| Change::Delete(udp(n).into()));
        let report = watched(size, deletes.collect()).await;
        assert_eq!(counts(&report), (half, half, 0), "{size} bytes");
    }
}
