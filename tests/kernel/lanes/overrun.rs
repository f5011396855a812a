//! A receive queue that is too small for the answers.

use std::future::IntoFuture;

use ctnetlink::{Connection, ErrorKind, Options};
use futures::future::join_all;
use libtest_mimic::Trial;

use super::{Held, alone, connect, fill, udp};

/// The kernel doubles it; an ACK takes 832 bytes.
const SMALL: usize = 8 * 1024;

pub(super) fn tests() -> Vec<Trial> {
    alone!("lanes::overrun":
        what_is_on_its_way_fails_and_the_handle_lives,
        the_count_starts_anew,
        the_smallest_queue,
        the_default_queue_is_enough,
    )
}

async fn what_is_on_its_way_fails_and_the_handle_lives() {
    fill(&connect(), 256).await;
    let options = Options::new().receive_buffer(SMALL);
    let handle = options.connect().await.expect("a connection");
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

/// The connection's `Debug` shows how many requests its netlink-proto connection has had: that
/// never forgets one without an answer, and has to be replaced.
async fn the_count_starts_anew() {
    fn count(connection: &Connection) -> usize {
        let text = format!("{connection:?}");
        let (_, count) = text.split_once("seq: ").expect("a count");
        let digits = count.split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|n| n.parse().ok()).expect("a number")
    }
    async fn drive<F: Future>(connection: &mut Connection, requests: F) -> F::Output {
        tokio::select! {
            output = requests => output,
            ended = connection => panic!("the connection ended: {ended:?}"),
        }
    }

    fill(&connect(), 64).await;
    let options = Options::new().receive_buffer(SMALL);
    let (mut connection, handle) = options.new_connection().expect("a connection");
    let mut expected = 0;
    for round in 1..=20 {
        let get = handle.get(udp(0)).into_future();
        let flow = drive(&mut connection, get).await.expect("an answer");
        assert_eq!(flow.expect("a flow").orig, udp(0));
        expected += 1;
        assert_eq!(count(&connection), expected, "round {round}");

        let marks = join_all((0..64).map(|n| handle.set_mark(udp(n), round).into_future()));
        let results = drive(&mut connection, marks).await;
        let errors = results.into_iter().filter_map(|result| result.err());
        let kinds: Vec<_> = errors.map(|error| error.kind()).collect();
        assert!(!kinds.is_empty(), "round {round}: no overrun");
        assert!(
            kinds.iter().all(|kind| *kind == ErrorKind::Overrun),
            "{kinds:?}"
        );
        // From the next request on.
        assert_eq!(count(&connection), expected + 64);
        expected = 0;
    }
}

/// In 2304 bytes not even the two answers to a get fit. Each request has its end all the same.
async fn the_smallest_queue() {
    fill(&connect(), 4).await;
    let handle = Options::new()
        .receive_buffer(0)
        .connect()
        .await
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
