//! Many requests at once.

use std::future::IntoFuture;

use ctnetlink::{ErrorKind, Masked, Status};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use libtest_mimic::Trial;

use super::{alone, connect, fill, memory, new, udp};
use crate::support::release;
use crate::trials;

const MANY: u16 = 10_000;
/// In KiB. This is what ten thousand futures need themselves, without room for their messages.
const BOUND: u64 = 40 * 1024;

pub(super) fn tests() -> Vec<Trial> {
    let mut tests = alone!("lanes::many": ten_thousand_at_once,);
    tests.extend(trials!("lanes::many":
        each_answer_finds_its_request,
        one_that_fails_fails_alone,
        nothing_is_sent_before_the_first_poll,
    ));
    tests
}

async fn ten_thousand_at_once() {
    let handle = connect();
    fill(&handle, 1).await;
    let before = memory("VmRSS");

    let created = join_all((1..MANY).map(|n| handle.create(new(n)).into_future())).await;
    assert_eq!(created.iter().filter(|result| result.is_ok()).count(), 9999);
    drop(created);

    let marks: FuturesUnordered<_> = (0..MANY)
        .map(|n| handle.set_mark(udp(n), u32::from(n)).into_future())
        .collect();
    let marked: Vec<_> = marks.collect().await;
    assert!(marked.iter().all(Result::is_ok));
    drop(marked);

    let grown = memory("VmHWM").saturating_sub(before);
    assert!(grown < BOUND, "{grown} KiB for {MANY} requests");

    let gets = join_all((0..MANY).map(|n| handle.get(udp(n)).into_future())).await;
    for (n, flow) in (0..MANY).zip(gets) {
        let flow = flow.expect("an answer").expect("a flow");
        assert_eq!((flow.orig, flow.mark), (udp(n), Some(n.into())));
    }
}

/// Gets of flows in the table and of others, mixed with updates and deletes.
async fn each_answer_finds_its_request() {
    let handle = connect();
    fill(&handle, 300).await;
    let requests = (0..600).map(|n| {
        let handle = handle.clone();
        async move {
            match n % 3 {
                0 => {
                    let flow = handle.get(udp(n)).await.expect("an answer");
                    assert_eq!(flow.map(|flow| flow.orig), (n < 300).then(|| udp(n)));
                }
                1 => {
                    let set = handle.set_mark(udp(n), Masked::new(0xff, 0x0f)).await;
                    assert_eq!(set.is_ok(), n < 300, "{set:?}");
                }
                _ => {
                    let deleted = handle.delete(udp(n)).await;
                    assert_eq!(deleted.is_ok(), n < 300, "{deleted:?}");
                }
            }
        }
    });
    join_all(requests).await;
    for n in 0..300 {
        let flow = handle.get(udp(n)).await.expect("an answer");
        let mark = flow.map(|flow| flow.mark.unwrap());
        assert_eq!(mark, [Some(0), Some(15), None][usize::from(n % 3)]);
    }
}

/// The first request of a datagram is refused, with the error that would be sent for the whole
/// datagram.
async fn one_that_fails_fails_alone() {
    let handle = connect();
    fill(&handle, 64).await;
    for n in [0, 1] {
        let fixed = handle.update(udp(n)).status(Status::FIXED_TIMEOUT).await;
        fixed.expect("a fixed timeout");
    }
    for others in [0, 1, 2, 63] {
        let refused = (0..2_u16)
            .map(|n| {
                handle
                    .update(udp(n))
                    .timeout(std::time::Duration::from_secs(9))
            })
            .take(if others == 2 { 2 } else { 1 });
        let requests: Vec<_> = refused
            .chain((1..=others).map(|n| handle.set_mark(udp(n), u32::from(n))))
            .map(IntoFuture::into_future)
            .collect();
        let refusals = requests.len() - usize::from(others);
        for (at, result) in join_all(requests).await.into_iter().enumerate() {
            match result {
                Err(error) if at < refusals => {
                    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
                    assert!(error.to_string().contains("FIXED_TIMEOUT"), "{error}");
                }
                Ok(()) if at >= refusals || !release::refuses_fixed_timeouts() => {}
                other => panic!("request {at} beside {others} others: {other:?}"),
            }
        }
    }
}

async fn nothing_is_sent_before_the_first_poll() {
    let handle = connect();
    drop(handle.create(new(1)));
    drop(handle.create(new(2)).into_future());
    let unpolled = handle.create(new(3)).into_future();
    for n in [1, 2, 3] {
        assert_eq!(handle.get(udp(n)).await.expect("an answer"), None);
    }
    unpolled.await.expect("a flow");
    assert!(handle.get(udp(3)).await.expect("an answer").is_some());
}
