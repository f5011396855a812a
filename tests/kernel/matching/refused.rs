//! Refused requests have no effect.

use std::future::IntoFuture;
use std::time::Duration;

use ctnetlink::{
    ConntrackHandle, ErrorKind, Family, Filter, Labels, Masked, Patch, Result, Status, Table,
};
use libtest_mimic::Trial;

use super::{all_applied, lasting, listed};
use crate::common::{connect, fill};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["matching::refused":
        an_empty_filter_removes_nothing,
        an_empty_filter_updates_everything,
        a_patch_that_changes_nothing,
        a_family_that_the_filter_is_not_of,
        a_flush_of_another_table,
        nothing_happens_before_the_first_poll,
    ]
}

const FLOWS: u16 = 100;

async fn filled() -> ConntrackHandle {
    let handle = connect();
    fill(&handle, FLOWS).await;
    handle
}

/// Checks that the request is refused with an error that contains all these words, and that the
/// table is unchanged.
async fn refused<T: std::fmt::Debug>(
    handle: &ConntrackHandle,
    request: impl IntoFuture<Output = Result<T>>,
    names: &[&str],
) {
    let before = lasting(&listed(handle).await);
    let error = request.await.expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    let text = error.to_string();
    for name in names {
        assert!(text.contains(name), "no {name:?} in {text:?}");
    }
    assert!(lasting(&listed(handle).await) == before);
    assert_eq!(before.len(), usize::from(FLOWS));
}

async fn an_empty_filter_removes_nothing() {
    let handle = filled().await;
    let empty = Filter::default;
    let hint = ["filter: it is empty", "flush(Table::Conntrack)"];
    refused(&handle, handle.delete_matching(empty()), &hint).await;
    let flush = || handle.flush(Table::Conntrack).filter(empty());
    refused(&handle, flush(), &hint).await;
    // With a family, it would flush the whole family. The error must mention that too.
    refused(&handle, flush().family(Family::Ipv4), &hint).await;
    let built = Filter::builder().build().expect("a filter");
    refused(&handle, handle.delete_matching(built), &hint).await;
}

async fn an_empty_filter_updates_everything() {
    let handle = filled().await;
    let patch = Patch::new().mark(7);
    let report = handle.update_matching(Filter::default(), patch).await;
    all_applied(&report.expect("a report"), FLOWS.into(), "all flows");
    let marks = listed(&handle).await.into_iter().map(|flow| flow.mark);
    assert!(marks.eq([Some(7); FLOWS as usize]));
}

async fn a_patch_that_changes_nothing() {
    let handle = filled().await;
    let mark = || Filter::builder().mark(0).build().expect("a filter");
    for (patch, name) in [
        (Patch::new(), "nothing to change"),
        (Patch::new().mark(Masked::new(1, 0)), "mark"),
        (
            Patch::new().labels(Masked::new(Labels::ALL, Labels::EMPTY)),
            "labels",
        ),
        (Patch::new().status(Status::empty()), "status"),
        (Patch::new().status(Status::DYING), "status"),
        (Patch::new().timeout(Duration::MAX), "timeout"),
        // One possible change does not make the others possible.
        (Patch::new().mark(7).status(Status::EXPECTED), "status"),
    ] {
        let update = handle.update_matching(mark(), patch.clone());
        refused(&handle, update, &[name]).await;
        let update = handle.update_matching(Filter::default(), patch);
        refused(&handle, update, &[name]).await;
    }
}

async fn a_family_that_the_filter_is_not_of() {
    let handle = filled().await;
    let of_v4 = || Filter::builder().family(Family::Ipv4).mark(0);
    let net = "10.1.0.0/16".parse::<ctnetlink::IpNet>();
    let net = net.expect("a prefix");
    for filter in [
        of_v4().build(),
        Filter::builder().orig_src(net).build(),
        of_v4().protocol(17).orig_dst_port(53).build(),
    ] {
        let flush = handle.flush(Table::Conntrack).family(Family::Ipv6);
        let flush = flush.filter(filter.expect("a filter"));
        refused(&handle, flush, &["filter"]).await;
    }
}

async fn a_flush_of_another_table() {
    let handle = filled().await;
    for (table, name) in [(Table::Dying, "Dying"), (Table::Unconfirmed, "Unconfirmed")] {
        let mark = Filter::builder().mark(0).build().expect("a filter");
        let flush = handle.flush(table).filter(mark);
        refused(&handle, flush, &["flushing", name]).await;
    }
}

async fn nothing_happens_before_the_first_poll() {
    let handle = filled().await;
    let before = lasting(&listed(&handle).await);
    let mark = || Filter::builder().mark(0).build().expect("a filter");
    drop(handle.delete_matching(mark()));
    drop(handle.delete_matching(mark()).into_future());
    drop(
        handle
            .update_matching(mark(), Patch::new().mark(1))
            .into_future(),
    );
    drop(handle.flush(Table::Conntrack).filter(mark()).into_future());
    let unpolled = handle.delete_matching(mark()).into_future();
    assert!(lasting(&listed(&handle).await) == before);
    all_applied(&unpolled.await.expect("a report"), FLOWS.into(), "polled");
    assert!(listed(&handle).await.is_empty());
}
