//! Deletes of half of the flows, by their mark.

use std::time::Instant;

use ctnetlink::{Filter, Masked};

use crate::common::process::Outcome;
use crate::common::raw::Raw;
use crate::common::{conntrack, current_thread, fill};

/// Every second flow has this bit in its mark.
const BIT: u32 = 1;

/// Makes a table of `flows` flows, of which every second will be deleted.
pub(crate) fn fill(flows: usize) {
    Raw::open().flush();
    fill::fill_marked(flows, |index| Some(index & BIT));
}

pub(crate) fn matching() -> Outcome {
    let runtime = current_thread();
    let start = Instant::now();
    let report = runtime.block_on(async {
        let filter = Filter::builder().mark(Masked::new(BIT, BIT)).build();
        let handle = ctnetlink::connect().await.expect("a connection");
        let deleted = handle.delete_matching(filter.expect("a filter"));
        deleted.await.expect("a report")
    });
    let outcome = Outcome::new(start, report.applied as usize);
    assert_eq!(report.done(), report.applied, "{report:?}");
    assert!(report.incomplete.is_none(), "{report:?}");
    outcome
}

pub(crate) fn conntrack() -> Option<Outcome> {
    conntrack::run(&["-D", "-m", &format!("{BIT}/{BIT}")])
}
