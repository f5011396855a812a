//! How long the send of a request on one flow takes during walks of the whole table that find
//! nothing.
//!
//! The walks run on one CPU and the requests on another, so a request waits only for the kernel's
//! lock. A plain dump holds the lock for a whole walk, which the kernel begins inside the `send`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ctnetlink::{Filter, Table};
use futures::StreamExt;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::common::names::{self, SHUFFLED};
use crate::common::process::Outcome;
use crate::common::raw::Raw;
use crate::common::{current_thread, message};

/// A mark that no flow has.
const NO_MARK: u32 = 0xdead_beef;

/// The number of walks.
const WALKS: usize = 20;

/// The pause between requests: a small part of the time of a walk.
const PAUSE: Duration = Duration::from_micros(100);

/// During the crate's lists.
pub(crate) fn ours() -> Option<Outcome> {
    beside(|| {
        current_thread().block_on(async {
            let handle = ctnetlink::connect().await.expect("a connection");
            for _ in 0..WALKS {
                let no_flow = Filter::builder().mark(NO_MARK).build();
                let list = handle.list(Table::Conntrack);
                let flows = list.filter(no_flow.expect("a filter")).await;
                assert_eq!(flows.expect("a list").count().await, 0);
            }
        });
    })
}

/// During plain dumps.
pub(crate) fn raw() -> Option<Outcome> {
    beside(|| {
        for _ in 0..WALKS {
            Raw::open().dump(
                |request| {
                    request.put(message::MARK, &NO_MARK.to_be_bytes());
                    request.put(message::MARK_MASK, &u32::MAX.to_be_bytes());
                },
                |_| panic!("a flow has the mark"),
            );
        }
    })
}

/// `None` if this process has only one CPU.
fn beside(walks: fn()) -> Option<Outcome> {
    let [walking, asking] = two_cpus()?;
    // The threads of the crate inherit the CPU of the thread that starts them.
    pin(walking);
    let (are_asking, are_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let start = Instant::now();
    let (flows, worst) = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            pin(asking);
            ask(&are_asking, &are_over)
        });
        while !are_asking.load(Ordering::Acquire) && !asking.is_finished() {
            thread::yield_now();
        }
        walks();
        are_over.store(true, Ordering::Release);
        asking.join().expect("requests")
    });
    Some(Outcome {
        late: Some(worst.as_secs_f64() * 1e3),
        ..Outcome::new(start, flows)
    })
}

/// Gets one flow after the other, until the walks are over. Returns the number of flows and the
/// longest send.
fn ask(are_asking: &AtomicBool, are_over: &AtomicBool) -> (usize, Duration) {
    let mut socket = Raw::open();
    let names = names::names(&mut socket, SHUFFLED);
    let mut worst = Duration::ZERO;
    let mut request = Vec::new();
    are_asking.store(true, Ordering::Release);
    for (number, name) in (1..).zip(names.iter().cycle()) {
        if are_over.load(Ordering::Acquire) {
            break;
        }
        request.clear();
        name.get(&mut request, number);
        // The scheduler would interrupt a thread that never sleeps, maybe in the middle of a send.
        thread::sleep(PAUSE);
        let start = Instant::now();
        socket.send(&request);
        worst = worst.max(start.elapsed());
        let answer = message::messages(socket.receive()).next();
        assert_eq!(answer.expect("a message").kind, message::NEW);
    }
    (names.len(), worst)
}

fn two_cpus() -> Option<[usize; 2]> {
    let present = sched_getaffinity(Pid::from_raw(0)).expect("the CPUs of this process");
    let mut cpus = (0..CpuSet::count()).filter(|cpu| present.is_set(*cpu) == Ok(true));
    Some([cpus.next()?, cpus.next()?])
}

/// Pins this thread.
fn pin(cpu: usize) {
    let mut cpus = CpuSet::new();
    cpus.set(cpu).expect("a CPU of this process");
    sched_setaffinity(Pid::from_raw(0), &cpus).expect("to be pinned");
}
