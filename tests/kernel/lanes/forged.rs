//! Messages from other processes to the sockets of a connection: the kernel refuses them.

use std::future::IntoFuture;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use ctnetlink::{Change, Options};
use futures::StreamExt;
use futures::future::join_all;
use libtest_mimic::Trial;

use super::{alone, connect, fill, list, rest, udp, until};
use crate::forger::{Forger, new_port, ports};
use crate::support::patience;

const FLOWS: u16 = 3000;

pub(super) fn tests() -> Vec<Trial> {
    alone!("lanes::forged":
        no_lane_hears_them,
        many_senders_hold_nothing_up,
    )
}

fn is_refused(port: u32) {
    let sent = Forger::new().send(port);
    let error = sent.expect_err("a socket that hears others");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{error}");
}

async fn no_lane_hears_them() {
    fill(&connect(), FLOWS).await;
    until(|| ports().is_empty(), || format!("{:?}", ports())).await;
    let before = ports();
    let handle = connect();
    is_refused(new_port(&before));

    let before = ports();
    let mut flows = list(&handle).await;
    flows.next().await.expect("an item").expect("a flow");
    is_refused(new_port(&before));
    assert_eq!(rest(flows).await, usize::from(FLOWS) - 1);

    // The next socket may get a port that is free.
    until(|| ports().len() == 1, || format!("{:?}", ports())).await;
    let before = ports();
    let report = handle.bulk((0..1).map(move |n| {
        is_refused(new_port(&before));
        Change::Delete(udp(n).into())
    }));
    assert_eq!(report.await.expect("a report").applied, 1);
}

/// Four threads send as fast as they can, while requests are in flight.
async fn many_senders_hold_nothing_up() {
    const GETS: u16 = 500;
    fill(&connect(), GETS).await;
    let before = ports();
    let options = Options::new().request_timeout(patience::secs(20));
    let (connection, handle) = options.new_connection().expect("a connection");
    tokio::spawn(connection);
    let port = new_port(&before);
    let (ended, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let (ended, sent) = (ended.clone(), sent.clone());
            thread::spawn(move || {
                let forger = Forger::new();
                while !ended.load(Ordering::Relaxed) {
                    sent.fetch_add(1, Ordering::Relaxed);
                    let error = forger.send(port).expect_err("a socket that hears others");
                    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{error}");
                }
            })
        })
        .collect();
    let mut gets = 0;
    while sent.load(Ordering::Relaxed) < 10_000 || gets == 0 {
        let answers = join_all((0..GETS).map(|n| handle.get(udp(n)).into_future())).await;
        for answer in answers {
            assert!(answer.expect("an answer").is_some());
            gets += 1;
        }
    }
    ended.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.join().expect("a sender");
    }
}
