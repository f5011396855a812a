//! Lists one flow of many, by its mark.
//!
//! The kernel walks the whole table in the system call that sends the request. So this compares the
//! time before and after the walk, including opening the connection.

use std::time::Instant;

use ctnetlink::{Filter, Table};
use futures::TryStreamExt;

use crate::common::process::Outcome;
use crate::common::raw::Raw;
use crate::common::{current_thread, fill, message};

/// The mark of the one flow.
const MARK: u32 = 0x100;

/// Makes a table of `flows` flows, of which one has the mark.
pub(crate) fn fill(flows: usize) {
    Raw::open().flush();
    let middle = flows as u32 / 2;
    fill::fill_marked(flows, |index| {
        Some(if index == middle { MARK } else { index & 0xff })
    });
}

pub(crate) fn raw() -> Outcome {
    let start = Instant::now();
    let mut count = 0;
    Raw::open().dump(
        |request| {
            request.put(message::MARK, &MARK.to_be_bytes());
            request.put(message::MARK_MASK, &u32::MAX.to_be_bytes());
        },
        |datagram| count += message::messages(datagram).count(),
    );
    Outcome::new(start, count)
}

pub(crate) fn list() -> Outcome {
    let runtime = current_thread();
    let start = Instant::now();
    let count = runtime.block_on(async {
        let filter = Filter::builder().mark(MARK).build().expect("a filter");
        let handle = ctnetlink::connect().await.expect("a connection");
        let list = handle.list(Table::Conntrack).filter(filter).await;
        let flows = list.expect("a list");
        let counted = flows.try_fold(0, |count, _flow| async move { Ok(count + 1) });
        counted.await.expect("flows")
    });
    Outcome::new(start, count)
}
