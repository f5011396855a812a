//! Timeouts and ages, which differ between two lists.

use std::time::Instant;

use ctnetlink::{ConntrackHandle, Flow, FlowKey};

use crate::support::patience;
use crate::tool::conntrack;

/// Repeats `look` until it finds no difference. After a while it panics with the difference.
pub async fn until_equal(mut look: impl AsyncFnMut() -> Result<(), String>) {
    let (start, patience) = (Instant::now(), patience::secs(20));
    while let Err(difference) = look().await {
        assert!(
            start.elapsed() < patience,
            "different for {patience:?}: {difference}"
        );
    }
}

/// Waits until `get` of our key and `-G` of the tool's key give the same line, and returns our
/// flow.
pub async fn same_line(handle: &ConntrackHandle, ours: FlowKey, theirs: &str) -> Flow {
    let mut last = None;
    until_equal(async || {
        let flow = handle.get(ours).await.expect("an answer");
        let flow = flow.ok_or_else(|| format!("{ours:?} is not there"))?;
        let line = conntrack(&format!("-G {theirs} -o extended,id"));
        let (our_line, line) = (format!("{flow:#}"), line.trim_end());
        last = Some(flow);
        if our_line == line {
            Ok(())
        } else {
            Err(format!("\n  ours:   {our_line}\n  theirs: {line}"))
        }
    })
    .await;
    last.expect("a flow")
}
