//! Each fault, in each lane in which it can happen.

use std::future::IntoFuture;
use std::time::{Duration, Instant};

use ctnetlink::testing::{AnswerFault, Kernel, RequestFault};
use ctnetlink::{Change, ErrorKind, EventKinds, Patch, Table};
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};

use crate::{fill, hasty, list, new, run, udp};

/// The second datagram of flows in a list, or its end. Two datagrams come before the first one.
const SECOND: u64 = 3;

fn marks(n: u16) -> impl Iterator<Item = Change> + Send {
    (0..n).map(|n| Change::Update(udp(n).into(), Patch::new().mark(7)))
}

#[test]
fn lost_answers_of_a_keyed_request() {
    run(async {
        let kernel = Kernel::new();
        let handle = kernel.connect();
        kernel.on_request(0, RequestFault::AnswersLost);
        let refused = handle.create(new(1)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Overrun, "{refused}");
        assert_eq!(kernel.flows().len(), 1, "it was done");
        assert!(
            handle.get(udp(1)).await.unwrap().is_some(),
            "and the next is answered"
        );
    });
}

#[test]
fn an_overrun_of_a_keyed_request() {
    run(async {
        let kernel = Kernel::new();
        let handle = kernel.connect();
        kernel.on_request(0, RequestFault::Overrun);
        assert_eq!(
            handle.create(new(1)).await.unwrap_err().kind(),
            ErrorKind::Overrun
        );
        assert!(handle.get(udp(1)).await.unwrap().is_some());
    });
}

/// The ACK of the last request stands for the earlier requests without an answer.
#[test]
fn marks_that_leave_together() {
    run(async {
        let kernel = Kernel::new();
        fill(&kernel, 40);
        let handle = kernel.connect();
        let marks = async |mark| {
            let all = (0..60).map(|n| handle.set_mark(udp(n), mark).into_future());
            join_all(all).await
        };
        for (n, marked) in marks(7).await.into_iter().enumerate() {
            assert_eq!(marked.is_ok(), n < 40, "{n}: {marked:?}");
            assert!(marked.is_ok() || marked.is_err_and(|error| error.is_not_found()));
        }
        for (mark, fault) in [(8, RequestFault::AnswersLost), (9, RequestFault::Overrun)] {
            kernel.on_request(0, fault);
            for marked in marks(mark).await {
                let kind = marked.expect_err("lost").kind();
                assert_eq!(kind, ErrorKind::Overrun, "{fault:?}");
            }
            let flows = kernel.flows();
            assert!(
                flows.iter().all(|flow| flow.mark == Some(mark)),
                "{fault:?}"
            );
        }
        kernel.on_request(0, RequestFault::TooLong);
        assert_eq!(
            marks(10)
                .await
                .iter()
                .filter(|marked| marked.is_ok())
                .count(),
            40
        );
    });
}

#[test]
fn rights_that_are_taken_away() {
    run(async {
        let kernel = Kernel::new();
        fill(&kernel, 100);
        let handle = kernel.connect();
        assert!(handle.get(udp(1)).await.unwrap().is_some());
        kernel.on_request(0, RequestFault::Denied);
        assert!(handle.get(udp(1)).await.unwrap_err().is_permission_denied());
        assert!(list(&handle).await.unwrap_err().is_permission_denied());
        assert!(
            handle
                .flush(Table::Conntrack)
                .await
                .unwrap_err()
                .is_permission_denied()
        );
        let report = handle.bulk(marks(100)).await;
        assert!(report.is_err() || report.is_ok_and(|report| report.failed.len() == 100));
        assert_eq!(kernel.flows().len(), 100);
        let refused = ctnetlink::Options::new().kernel(&kernel).new_connection();
        assert!(refused.unwrap_err().is_permission_denied());
        kernel.recover();
        assert_eq!(list(&handle).await.unwrap().len(), 100);
    });
}

#[test]
fn interrupted_sends_are_made_again() {
    run(async {
        let kernel = Kernel::new();
        fill(&kernel, 10);
        let handle = kernel.connect();
        for n in 0..3 {
            kernel.on_request(2 * n, RequestFault::Interrupted);
        }
        handle.set_mark(udp(1), 7).await.unwrap();
        assert_eq!(list(&handle).await.unwrap().len(), 10);
        assert_eq!(handle.bulk(marks(10)).await.unwrap().applied, 10);
    });
}

/// A refused send has changed nothing. It is reported, or repeated in smaller parts.
#[test]
fn sends_that_are_refused() {
    run(async {
        for fault in [RequestFault::TooLong, RequestFault::NoMemory] {
            let kernel = Kernel::new();
            let handle = kernel.connect();
            handle.create(new(0)).await.unwrap();
            kernel.on_request(0, fault);
            assert!(handle.create(new(1)).await.is_err(), "{fault:?}");
            assert_eq!(kernel.flows().len(), 1, "{fault:?}");
            kernel.on_request(0, fault);
            assert!(list(&handle).await.is_err(), "{fault:?}");
            assert_eq!(list(&handle).await.unwrap().len(), 1, "{fault:?}");
        }
    });
}

/// Every change is accounted for, whatever happens to the answers. The fault is in the second send
/// of 64 of the 300 changes.
#[test]
fn faults_among_many_changes() {
    run(async {
        for (fault, made, applied) in [
            // Changes with lost answers are repeated, so the kernel makes them twice.
            (RequestFault::AnswersLost, 364, 300),
            (RequestFault::Overrun, 364, 300),
            (RequestFault::TooLong, 300, 300),
            (RequestFault::Interrupted, 300, 300),
            (RequestFault::NoMemory, 236, 236),
        ] {
            let kernel = Kernel::new();
            let handle = hasty(&kernel).await;
            let events = handle.events().kinds(EventKinds::UPDATE).await.unwrap();
            fill(&kernel, 300);
            kernel.on_request(1, fault);
            let report = handle.bulk(marks(300)).await.unwrap();
            assert_eq!(events.backlog().unwrap().used, made * 1280, "{fault:?}");
            assert_eq!((report.applied, report.gone), (applied, 0), "{fault:?}");
            // Only the second send.
            let failed: Vec<_> = report.failed.iter().map(|(key, _)| *key.tuple()).collect();
            let unsent: Vec<_> = (64..364 - applied as u16).map(udp).collect();
            assert_eq!(failed, unsent, "{fault:?}");
            let mut kinds = report.failed.iter().map(|(_, error)| error.kind());
            assert!(kinds.all(|kind| kind == ErrorKind::Io), "{report:?}");
            let flows = kernel.flows();
            let marked = flows.iter().filter(|flow| flow.mark == Some(7));
            assert_eq!(marked.count() as u64, applied, "{fault:?}");
            // The same request again succeeds.
            let report = handle.bulk(marks(300)).await.unwrap();
            assert_eq!((report.applied, report.failed.len()), (300, 0), "{fault:?}");
            assert!(kernel.flows().iter().all(|flow| flow.mark == Some(7)));
            assert!(handle.get(udp(1)).await.unwrap().is_some(), "{fault:?}");
        }
    });
}

/// Requests fail, and report that they did. Then everything works as before.
#[test]
fn a_stuck_kernel_is_given_up() {
    run(async {
        let kernel = Kernel::new();
        fill(&kernel, 10);
        let handle = hasty(&kernel).await;
        kernel.on_request(0, RequestFault::Stuck);
        let refused = list(&handle).await.unwrap_err();
        assert!(refused.is_timeout(), "{refused}");
        // A kernel answers these before the send returns, so nothing is awaited.
        let refused = handle.get(udp(1)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Overrun, "{refused}");
        let refused = handle.delete(udp(1)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Overrun, "{refused}");
        let refused = handle.flush(Table::Conntrack).await.unwrap_err();
        assert!(refused.is_timeout(), "{refused}");
        let report = handle.bulk(marks(10)).await.unwrap();
        assert_eq!((report.applied, report.failed.len()), (0, 10), "{report:?}");
        kernel.recover();
        let flows = list(&handle).await.unwrap();
        assert_eq!(flows, kernel.flows(), "nothing was done meanwhile");
        assert_eq!(flows.len(), 10);
        assert!(flows.iter().all(|flow| flow.mark == Some(0)));
        assert!(handle.get(udp(1)).await.unwrap().is_some());
        assert_eq!(handle.bulk(marks(10)).await.unwrap().applied, 10);
    });
}

#[test]
fn a_busy_kernel_is_waited_for() {
    run(async {
        let kernel = Kernel::new();
        fill(&kernel, 10);
        let handle = kernel.connect();
        let busy = Duration::from_millis(60);
        kernel.on_request(0, RequestFault::Delay(busy));
        let begun = Instant::now();
        assert_eq!(list(&handle).await.unwrap().len(), 10);
        assert!(begun.elapsed() >= busy);
    });
}

/// Another connection flushes. Its end wakes no task here, and the request of a connection that is
/// not polled still times out, whenever it began.
#[test]
fn a_flush_elsewhere_keeps_nobody_waiting() {
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        run(async {
            let kernel = Kernel::new();
            let elsewhere = kernel.connect();
            kernel.on_request(0, RequestFault::Delay(Duration::from_millis(300)));
            let flush = elsewhere.flush(Table::Conntrack).into_future();
            let flush = tokio::spawn(flush);
            // Wait until the flush blocks the kernel.
            let since = Instant::now();
            while since.elapsed() < Duration::from_millis(100) {
                tokio::task::yield_now().await;
            }
            let (_connection, handle) = ctnetlink::Options::new()
                .kernel(&Kernel::new())
                .new_connection()
                .unwrap();
            let late = handle.get(udp(1)).await.unwrap_err();
            assert_eq!(late.kind(), ErrorKind::Timeout, "{late}");
            flush.await.unwrap().unwrap();
        });
        ended.send(()).unwrap();
    });
    end.recv_timeout(Duration::from_secs(60))
        .expect("an end of the request");
}

/// The received flows are returned, and the last item reports that some are missing.
#[test]
fn a_dump_without_its_end_is_no_whole_one() {
    run(async {
        let kernel = Kernel::new();
        fill(&kernel, 10);
        let handle = hasty(&kernel).await;
        kernel.on_answer(SECOND, AnswerFault::Lost);
        let mut flows = handle.list(Table::Conntrack).await.unwrap();
        let mut came = Vec::new();
        let end = loop {
            match flows.next().await.expect("its end is told") {
                Ok(flow) => came.push(flow),
                Err(error) => break error,
            }
        };
        assert_eq!(came, kernel.flows());
        assert!(end.is_timeout(), "{end}");
        assert!(flows.next().await.is_none(), "once");
        assert_eq!(list(&handle).await.unwrap(), kernel.flows());
        assert!(handle.get(udp(1)).await.unwrap().is_some());
    });
}

#[test]
fn a_datagram_that_is_cut_short_is_an_item() {
    run(async {
        let kernel = Kernel::new();
        fill(&kernel, 1000);
        let handle = hasty(&kernel).await;
        kernel.on_answer(SECOND, AnswerFault::CutTo(1000));
        let mut flows = handle.list(Table::Conntrack).await.unwrap();
        let (mut whole, mut broken) = (0, 0);
        loop {
            match flows.try_next().await {
                Ok(Some(_)) => whole += 1,
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Decode);
                    broken += 1;
                }
            }
        }
        assert_eq!(broken, 1);
        assert!(whole < 1000);
    });
}

#[test]
fn parts_of_a_dump_that_come_twice_or_late() {
    run(async {
        for fault in [AnswerFault::Twice, AnswerFault::Late] {
            let kernel = Kernel::new();
            fill(&kernel, 1000);
            let handle = hasty(&kernel).await;
            kernel.on_answer(SECOND, fault);
            let flows = list(&handle).await.unwrap();
            let mut sources: Vec<_> = flows.iter().map(|flow| flow.orig.src()).collect();
            sources.sort();
            sources.dedup();
            assert_eq!(sources.len(), 1000, "{fault:?}");
            assert_eq!(flows.len() > 1000, fault == AnswerFault::Twice);
        }
    });
}

/// A late answer to one request is not the answer to another one.
#[test]
fn an_answer_that_comes_late() {
    run(async {
        let kernel = Kernel::new();
        fill(&kernel, 10);
        let handle = hasty(&kernel).await;
        kernel.on_answer(0, AnswerFault::Late);
        let mut answered = 0;
        for n in 1..6 {
            if let Ok(found) = handle.get(udp(n)).await {
                assert_eq!(found.map(|flow| flow.orig), Some(udp(n)));
                answered += 1;
            }
        }
        assert!(answered > 0);
    });
}

/// An answer that comes twice is not the answer to the next request.
#[test]
fn an_answer_that_comes_twice() {
    run(async {
        let kernel = Kernel::new();
        fill(&kernel, 3);
        let handle = kernel.connect();
        for n in [0, 3, 4] {
            kernel.on_answer(n, AnswerFault::Twice);
        }
        for mark in 1..20 {
            handle.set_mark(udp(1), mark).await.expect("a mark");
            let flow = handle.get(udp(1)).await.expect("an answer");
            assert_eq!(flow.expect("a flow").mark, Some(mark));
            assert_eq!(handle.get(udp(9)).await.expect("an answer"), None);
        }
    });
}

/// Bytes that no kernel sends are an error of their request, and of no later one.
#[test]
fn datagrams_that_were_tampered_with() {
    run(async {
        let kernel = Kernel::new();
        fill(&kernel, 3);
        let handle = hasty(&kernel).await;
        kernel.tamper(|datagram| {
            // The first attribute claims to be longer than the message.
            if let Some(len) = datagram.get_mut(20) {
                *len = 0xff;
            }
        });
        let error = handle.get(udp(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode, "{error}");
        assert!(list(&handle).await.is_err());
        kernel.recover();
        assert!(handle.get(udp(1)).await.unwrap().is_some());
        assert_eq!(list(&handle).await.unwrap().len(), 3);
    });
}
