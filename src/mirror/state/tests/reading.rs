//! Readers beside the writer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use super::super::*;
use super::model::{self, Model, NUMBERS};
use crate::event::Event;
use crate::flow::FlowKey;

/// What happens to a flow, again and again.
fn life(flow: &Flow) -> [Event; 3] {
    let flow = || Flow::clone(flow);
    let (port_id, nsid) = (None, None);
    [
        Event::New {
            flow: flow(),
            port_id,
            nsid,
        },
        Event::Update {
            flow: flow(),
            port_id,
            nsid,
        },
        Event::Destroy {
            flow: flow(),
            port_id,
            nsid,
        },
    ]
}

/// The writer holds the lock of a flow's shard while it waits for that of its reply. No reader
/// waits for a lock while it holds another, so all of them come to an end.
#[test]
fn readers_do_not_stop_the_writer() {
    const ROUNDS: usize = 5000;
    let mut state = Model::new(Filter::default(), usize::MAX).state;
    let index = state.index.clone();
    let (done, wait) = mpsc::channel();
    // If they stop each other, the threads never end.
    thread::spawn(move || {
        let is_done = AtomicBool::new(false);
        let read = || {
            while !is_done.load(Ordering::Relaxed) {
                for flow in (0..NUMBERS).map(model::flow) {
                    let [orig, reply] = [Key::orig(&flow), Key::reply(&flow)];
                    let names = [
                        FlowKey::orig(*orig.tuple).zone(orig.zone),
                        FlowKey::reply(*reply.tuple).zone(reply.zone),
                    ];
                    for found in names.iter().filter_map(|key| index.get(key, 0)) {
                        assert_eq!((found.orig, found.zone), (flow.orig, flow.zone));
                    }
                }
            }
        };
        thread::scope(|scope| {
            scope.spawn(read);
            scope.spawn(read);
            for _ in 0..ROUNDS {
                let mut events = (0..NUMBERS).flat_map(|n| life(&model::flow(n))).collect();
                state.events(&mut events, Duration::ZERO);
                while state.next_delta().is_some() {}
            }
            is_done.store(true, Ordering::Relaxed);
        });
        done.send(()).expect("the test");
    });
    let waited = wait.recv_timeout(Duration::from_secs(100));
    waited.expect("no thread waits for ever");
}
