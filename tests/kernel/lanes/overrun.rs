//! Receive queues that are too small for the replies.

use std::future::IntoFuture;

use ctnetlink::Options;
use futures::future::join_all;
use libtest_mimic::Trial;

use super::{Held, alone, connect, fill, udp, until};
use crate::forger::{drops, new_port, ports};

pub(super) fn tests() -> Vec<Trial> {
    alone!("lanes::overrun":
        small_queues_are_enough,
        the_default_queue_is_enough,
    )
}

/// A datagram has as many requests as both queues have room for, at least one.
async fn small_queues_are_enough() {
    fill(&connect(), 256).await;
    let held = Held::at_rest().await;
    for (size, round) in [0, 1, 4096, 16_384, 32_768, 49_152, 1 << 31]
        .into_iter()
        .zip(1..)
    {
        until(|| ports().is_empty(), || format!("{:?}", ports())).await;
        let before = ports();
        let options = Options::new().receive_buffer(size);
        let handle = options.connect().await.expect("a connection");
        let port = new_port(&before);
        let gets = join_all((0..256).map(|n| handle.get(udp(n)).into_future()));
        let marks = join_all((0..256).map(|n| handle.set_mark(udp(n), round).into_future()));
        let (gets, marks) = futures::join!(gets, marks);
        for (n, got) in (0..).zip(gets) {
            let got = got.unwrap_or_else(|error| panic!("{size} bytes, get {n}: {error}"));
            assert_eq!(got.expect("a flow").orig, udp(n));
        }
        for (n, marked) in marks.into_iter().enumerate() {
            marked.unwrap_or_else(|error| panic!("{size} bytes, mark {n}: {error}"));
        }
        assert_eq!(drops(port), 0, "{size} bytes");
    }
    held.again().await;
}

async fn the_default_queue_is_enough() {
    let handle = connect();
    fill(&handle, 1).await;
    let gets = join_all((0..5000).map(|_| handle.get(udp(0)).into_future())).await;
    for answer in gets {
        assert!(answer.expect("an answer").is_some());
    }
}
