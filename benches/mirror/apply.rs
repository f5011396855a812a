//! The time for queued events: of the mirror, and of a stream of events.

use std::process::Command;
use std::time::{Duration, Instant};

use ctnetlink::{Event, MirrorState};
use futures::StreamExt;

use crate::common::names::{AS_LISTED, names};
use crate::common::process::{self, Outcome};
use crate::common::raw::{BATCH, Raw};
use crate::common::{current_thread, fill, message};

/// Hidden: makes this process the one that changes the table.
pub(crate) const CHANGE: &str = "--change";

/// Makes flows begin, get other marks, and end.
const CHANGES: [&str; 3] = ["begin", "mark", "end"];

pub(crate) fn change(which: &str, flows: usize) {
    process::begin();
    let mut socket = Raw::open();
    match which {
        "begin" => fill::fill(flows),
        "mark" => {
            let mut datagram = Vec::new();
            let names = names(&mut socket, AS_LISTED);
            for (at, some) in (0..).step_by(BATCH).zip(names.chunks(BATCH)) {
                datagram.clear();
                for (number, name) in (at + 1..).zip(some) {
                    let is_last = number == at + some.len();
                    let flags = if is_last { message::ACK } else { 0 };
                    name.set_mark(&mut datagram, flags, number as u32 + 0x1_0000);
                }
                socket.send(&datagram);
                socket.acknowledged((at + some.len()) as u32 + 0x1_0000);
            }
        }
        "end" => socket.flush(),
        _ => panic!("{which} is no change"),
    }
}

/// Lets another process change the table while no event is read.
fn have(which: &str, flows: usize) {
    let bench = std::env::current_exe().expect("the path of the bench");
    let done = Command::new(bench)
        .args([CHANGE, which, &flows.to_string()])
        .status();
    assert!(done.expect("a process").success(), "{which}");
}

/// Half of what the kernel counts for this many events, 1280 bytes each, because the kernel doubles
/// the number.
fn room(events: usize) -> usize {
    events * 700 + 100_000
}

/// The time for the events, without the time for the changes.
fn outcome(spent: Duration, events: usize) -> Outcome {
    Outcome {
        wall: spent,
        ..Outcome::new(Instant::now(), events)
    }
}

pub(crate) fn stream(flows: usize) -> Outcome {
    current_thread().block_on(async {
        let handle = ctnetlink::connect().await.expect("a connection");
        let stream = handle.events().receive_buffer(room(flows));
        let mut stream = stream.await.expect("a stream");
        let mut spent = Duration::ZERO;
        for change in CHANGES {
            have(change, flows);
            let start = Instant::now();
            for _ in 0..flows {
                let event = stream.next().await.expect("it goes on").expect("an event");
                assert!(!matches!(event, Event::Overrun { .. }), "{event}");
                std::hint::black_box(&event);
            }
            spent += start.elapsed();
        }
        outcome(spent, CHANGES.len() * flows)
    })
}

pub(crate) fn mirror(flows: usize) -> Outcome {
    current_thread().block_on(async {
        let handle = ctnetlink::connect().await.expect("a connection");
        let mirror = handle.mirror().receive_buffer(room(flows));
        let mirror = mirror.await.expect("a mirror");
        let reader = mirror.reader();
        tokio::spawn(mirror.run());
        reader.synced().await.expect("a mirror");
        let mut spent = Duration::ZERO;
        for change in CHANGES {
            have(change, flows);
            let start = Instant::now();
            while !reader.is_synced() {
                reader.changed().await.expect("a mirror");
            }
            spent += start.elapsed();
            let left = if change == "end" { 0 } else { flows };
            assert_eq!(reader.len(), left, "after {change}");
        }
        // Otherwise a list was a part of the work.
        let state = reader.state();
        let is_first = matches!(state, MirrorState::Synced { generation: 1, .. });
        assert!(is_first, "events were lost: {state:?}");
        outcome(spent, CHANGES.len() * flows)
    })
}
