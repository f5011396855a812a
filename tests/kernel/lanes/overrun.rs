//! A receive queue that is too small for the answers.

use std::future::IntoFuture;

use ctnetlink::{ErrorKind, Options};
use futures::future::join_all;
use libtest_mimic::Trial;

use super::{Held, alone, connect, fill, udp};

/// The kernel doubles it; an ACK takes 832 bytes.
const SMALL: usize = 8 * 1024;

pub(super) fn tests() -> Vec<Trial> {
    alone!("lanes::overrun":
        what_is_on_its_way_fails_and_the_handle_lives,
        the_smallest_queue,
        the_default_queue_is_enough,
    )
}

async fn what_is_on_its_way_fails_and_the_handle_lives() {
    fill(&connect(), 256).await;
    let options = Options::new().receive_buffer(SMALL);
    let handle = options.connect().expect("a connection");
    assert!(handle.get(udp(0)).await.expect("an answer").is_some());
    let held = Held::at_rest().await;
    let mut overruns = 0;
    for round in 0..50_u32 {
        let mut overran = 0;
        let marks = (0..256).map(|n| handle.set_mark(udp(n), round).into_future());
        for (n, result) in join_all(marks).await.into_iter().enumerate() {
            match result {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Overrun => {
                    assert!(
                        error.to_string().contains("may have taken effect"),
                        "{error}"
                    );
                    overran += 1;
                }
                Err(error) => panic!("request {n} of round {round}: {error}"),
            }
        }
        overruns += usize::from(overran > 0);
        // The kernel acted on each of them, and the next answers are the next requests'.
        for n in [0, 63, 64, 255] {
            let flow = handle
                .get(udp(n))
                .await
                .expect("an answer")
                .expect("a flow");
            assert_eq!((flow.orig, flow.mark), (udp(n), Some(round)));
        }
    }
    assert!(overruns > 25, "{overruns} rounds with an overrun");
    held.again().await;
}

/// In 2304 bytes not even the two answers to a get fit. Each request has its end all the same.
async fn the_smallest_queue() {
    fill(&connect(), 4).await;
    let handle = Options::new()
        .receive_buffer(0)
        .connect()
        .expect("a connection");
    for round in 0..50_u32 {
        let gets = join_all((0..3).map(|n| handle.get(udp(n)).into_future()));
        let marks = join_all((0..200).map(|_| handle.set_mark(udp(1), round).into_future()));
        let (gets, marks) = futures::join!(gets, marks);
        let kinds = gets.iter().filter_map(|result| result.as_ref().err());
        for error in kinds.chain(marks.iter().filter_map(|result| result.as_ref().err())) {
            assert_eq!(error.kind(), ErrorKind::Overrun, "round {round}: {error}");
        }
        let alone = handle.set_mark(udp(2), round).await;
        alone.unwrap_or_else(|error| panic!("round {round}: {error}"));
    }
}

async fn the_default_queue_is_enough() {
    let handle = connect();
    fill(&handle, 1).await;
    let gets = join_all((0..5000).map(|_| handle.get(udp(0)).into_future())).await;
    for answer in gets {
        assert!(answer.expect("an answer").is_some());
    }
}
