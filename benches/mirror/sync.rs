//! The first sync, and the minimum work for a list.

use std::time::Instant;

use ctnetlink::Table;
use futures::TryStreamExt;

use crate::common::process::Outcome;
use crate::common::raw::Raw;
use crate::common::{current_thread, message};

/// Receives datagrams, and counts their messages by the lengths in the headers.
pub(crate) fn raw() -> Outcome {
    let start = Instant::now();
    let mut count = 0;
    Raw::open().dump(
        |_| {},
        |datagram| count += message::messages(datagram).count(),
    );
    Outcome::new(start, count)
}

/// A list that keeps no flows, for the memory that does not belong to the mirror.
pub(crate) fn list() -> Outcome {
    let runtime = current_thread();
    let start = Instant::now();
    let count = runtime.block_on(async {
        let handle = ctnetlink::connect().await.expect("a connection");
        let flows = handle.list(Table::Conntrack).await.expect("a list");
        let counted = flows.try_fold(0, |count, flow| async move {
            std::hint::black_box(&flow);
            Ok(count + 1)
        });
        counted.await.expect("flows")
    });
    Outcome::new(start, count)
}

pub(crate) fn first() -> Outcome {
    let runtime = current_thread();
    let start = Instant::now();
    let reader = runtime.block_on(async {
        let handle = ctnetlink::connect().await.expect("a connection");
        let mirror = handle.mirror().await.expect("a mirror");
        let reader = mirror.reader();
        tokio::spawn(mirror.run());
        reader.synced().await.expect("a mirror");
        reader
    });
    Outcome::new(start, reader.len())
}
