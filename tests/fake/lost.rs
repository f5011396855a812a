//! Lost answers of a bulk request: the crate finds out the results, and changes nothing by that.

use std::future::IntoFuture;

use ctnetlink::testing::{Kernel, RequestFault};
use ctnetlink::{Change, ErrorKind, FlowKey, NewFlow, Patch, Report, Status};

use crate::{fill, new, run, tcp, udp};

/// The report of a bulk request whose answers are all lost.
async fn lost(kernel: &Kernel, changes: Vec<Change>) -> Report {
    let handle = kernel.connect();
    kernel.on_request(0, RequestFault::Overrun);
    handle.bulk(changes).await.expect("a report")
}

fn counts(report: &Report) -> (u64, u64, u64) {
    (report.applied, report.gone, report.failed_total)
}

fn mark(n: u16, mark: u32) -> Change {
    Change::Update(udp(n).into(), Patch::new().mark(mark))
}

fn mark_of(kernel: &Kernel, n: u16) -> Option<u32> {
    let flows = kernel.flows();
    let flow = flows.iter().find(|flow| flow.orig == udp(n))?;
    Some(flow.mark.unwrap_or(0))
}

fn is_unknown(report: &Report) {
    let mut kinds = report.failed.iter().map(|(_, error)| error.kind());
    assert!(kinds.all(|kind| kind == ErrorKind::Overrun), "{report:?}");
}

#[test]
fn updates_are_made_once_more_and_creates_and_deletes_looked_at() {
    run(async {
        let kernel = Kernel::new();
        fill(&kernel, 10);
        let id = |n| {
            kernel
                .flows()
                .iter()
                .find(|flow| flow.orig == udp(n))
                .unwrap()
                .id
        };
        let gone = FlowKey::from(udp(3)).id(id(3).expect("an id"));
        let changes = vec![
            mark(1, 7),
            mark(100, 7),
            Change::Create(new(50).mark(5)),
            Change::Delete(gone),
            mark(2, 7),
        ];
        let report = lost(&kernel, changes).await;
        assert_eq!(counts(&report), (4, 1, 0), "{report:?}");
        assert_eq!(
            [1, 2, 50].map(|n| mark_of(&kernel, n)),
            [Some(7), Some(7), Some(5)]
        );
        assert_eq!(mark_of(&kernel, 3), None);
    });
}

/// The update is not repeated, because it would change the flow that came later.
#[test]
fn an_update_before_a_successor() {
    run(async {
        let kernel = Kernel::new();
        fill(&kernel, 1);
        let delete = Change::Delete((&kernel.flows()[0]).into());
        let changes = vec![mark(0, 1), delete, Change::Create(new(0).mark(9))];
        let report = lost(&kernel, changes).await;
        assert_eq!(mark_of(&kernel, 0), Some(9), "{report:?}");
        assert_eq!(counts(&report), (1, 0, 2), "{report:?}");
        is_unknown(&report);
    });
}

#[test]
fn a_create_before_an_update() {
    run(async {
        let kernel = Kernel::new();
        let changes = vec![Change::Create(new(0).mark(1)), mark(0, 2)];
        let report = lost(&kernel, changes).await;
        assert_eq!(counts(&report), (1, 0, 1), "{report:?}");
        is_unknown(&report);
    });
}

/// The flow differs from the create: another program made it, or has changed it.
#[test]
fn a_create_of_what_is_another() {
    run(async {
        let plain = || NewFlow::new(tcp(1), std::time::Duration::from_secs(60));
        for (existing, wanted) in [
            (new(1).mark(5), new(1)),
            (new(1), new(1).status(Status::ASSURED)),
            (
                plain().tcp_state(ctnetlink::TcpState::CLOSE),
                plain().tcp_state(ctnetlink::TcpState::ESTABLISHED),
            ),
        ] {
            let kernel = Kernel::new();
            kernel.connect().create(existing).await.expect("a flow");
            let report = lost(&kernel, vec![Change::Create(wanted)]).await;
            assert_eq!(counts(&report), (0, 0, 1), "{report:?}");
            is_unknown(&report);
        }
    });
}

#[test]
fn a_datagram_that_is_too_long_goes_in_parts() {
    run(async {
        let kernel = Kernel::new();
        fill(&kernel, 200);
        let handle = kernel.connect();
        for n in [0, 1, 3] {
            kernel.on_request(n, RequestFault::TooLong);
        }
        let report = handle
            .bulk((0..200).map(|n| mark(n, 7)))
            .await
            .expect("a report");
        assert_eq!(counts(&report), (200, 0, 0), "{report:?}");
        for n in [0, 1] {
            kernel.on_request(n, RequestFault::TooLong);
        }
        let marks = (0..50)
            .map(|n| handle.set_mark(udp(n), 8))
            .map(IntoFuture::into_future);
        for marked in futures::future::join_all(marks).await {
            marked.expect("a mark");
        }
        assert!((0..50).all(|n| mark_of(&kernel, n) == Some(8)));
    });
}
