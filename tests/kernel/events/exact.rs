//! Sent events = received + lost, and each gap is reported in its place.

use ctnetlink::Event;
use libtest_mimic::Trial;
use tokio::task::yield_now;

use super::{Order, ROOM_FOR, changes, mark, next};
use crate::common::connect;
use crate::support::patience;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["events::exact":
        a_gap_has_its_number_and_its_place,
        what_a_reader_has_in_hand_is_before_the_gap,
        a_gap_after_a_gap,
        a_reader_that_is_slow_at_random,
    ]
}

async fn a_gap_has_its_number_and_its_place() {
    let handle = connect();
    let mut events = changes(&handle).await;
    mark(&handle, 1..=1000).await;
    let backlog = events.backlog().expect("the queue");
    assert!(backlog.used + 1280 > backlog.room, "{backlog:?}");
    let mut order = Order::default();
    let lost = loop {
        let event = next(&mut events).await;
        order.take(&event);
        if let Event::Overrun { lost } = event {
            break lost;
        }
    };
    let fit = u64::from(order.last);
    assert!(ROOM_FOR.contains(&fit), "{fit}");
    assert_eq!(fit + lost, 1000);
    assert_eq!(events.backlog().expect("the queue").used, 0);
    // The stream goes on.
    mark(&handle, 1001..=1100).await;
    while order.sent() < 1100 {
        order.take(&next(&mut events).await);
    }
    let stats = events.stats();
    assert_eq!((stats.received, stats.lost), (fit + 100, lost), "{stats:?}");
    assert_eq!((stats.overruns, stats.decode_errors), (1, 0));
}

/// The socket is read 32 datagrams at a time. The overrun happens between two reads, and in the
/// middle of one.
async fn what_a_reader_has_in_hand_is_before_the_gap() {
    for in_hand in [1, 31, 32, 33, 64, 160] {
        let handle = connect();
        let mut events = changes(&handle).await;
        mark(&handle, 1..=160).await;
        let mut order = Order::default();
        for _ in 0..in_hand {
            order.take(&next(&mut events).await);
        }
        mark(&handle, 161..=1000).await;
        while order.sent() < 1000 {
            order.take(&next(&mut events).await);
        }
        assert_eq!(events.stats().overruns, 1, "{in_hand}");
        handle.delete(crate::common::udp(1)).await.expect("a flow");
    }
}

async fn a_gap_after_a_gap() {
    let handle = connect();
    let mut events = changes(&handle).await;
    let mut order = Order::default();
    let mut sent = 0;
    for _ in 0..20 {
        mark(&handle, sent + 1..=sent + 400).await;
        sent += 400;
        while order.sent() < sent {
            order.take(&next(&mut events).await);
        }
    }
    let stats = events.stats();
    assert_eq!(stats.overruns, 20);
    assert_eq!(stats.received + stats.lost, u64::from(sent));
    assert!(ROOM_FOR.contains(&(stats.received / 20)), "{stats:?}");
}

/// Bursts of 200 to 20 000 events, while the reader stops and starts. A size is as likely as half
/// of it.
async fn a_reader_that_is_slow_at_random() {
    let rounds = patience::rounds(200);
    let handle = connect();
    let mut events = changes(&handle).await;
    let mut order = Order::default();
    let mut random = Random(0x2545_f491);
    let mut sent = 0;
    for round in 0..rounds {
        let burst = match round {
            0 => 20_000,
            1 => 200,
            _ => (200.0 * 100_f64.powf(f64::from(random.below(1000)) / 1000.0)) as u32,
        };
        let marks = sent + 1..=sent + burst;
        sent += burst;
        let sender = {
            let handle = handle.clone();
            tokio::spawn(async move { mark(&handle, marks).await })
        };
        while order.sent() < sent {
            // Meanwhile other tasks run, and so does the thread of the sender.
            for _ in 0..random.below(4) * random.below(100) {
                yield_now().await;
            }
            for _ in 0..random.below(300) {
                if order.sent() == sent {
                    break;
                }
                order.take(&next(&mut events).await);
            }
        }
        sender.await.expect("the sender");
        let stats = events.stats();
        assert_eq!(order.sent(), sent);
        assert_eq!(stats.received + stats.lost, u64::from(sent), "{stats:?}");
    }
    let stats = events.stats();
    assert!(
        stats.overruns > rounds / 40,
        "it was to be too slow: {stats:?}"
    );
    assert!(stats.received > rounds, "{stats:?}");
}

struct Random(u32);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % end
    }
}
