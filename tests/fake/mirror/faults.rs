//! Each fault, at every step of a short scenario.

use std::fmt::Debug;
use std::time::Duration;

use ctnetlink::testing::{AnswerFault, EventFault, Kernel, RequestFault};
use ctnetlink::{Change, ConntrackHandle, FlowKey, Labels, Options, Table};
use tokio::task::yield_now;
use tokio::time::sleep;

use super::{Watch, audible};
use crate::{fill, new, run, tcp, udp};

/// The maximum number of datagrams of each kind in a run.
const DATAGRAMS: u64 = 24;

const STEPS: u32 = 15;

/// Makes one change in the table. A fault may prevent it, so only the table shows the result.
async fn step(number: u32, kernel: &Kernel, handle: &ConntrackHandle) {
    let label = Labels::bit(3).expect("a label");
    let done = match number {
        0 => handle.create(new(10)).await,
        1 => handle.set_mark(udp(1), 7).await,
        2 => handle.set_labels(udp(10), label).await,
        3 => handle.delete(udp(3)).await,
        4 => handle.create(new(3).mark(5)).await,
        5 => handle.set_labels(udp(10), Labels::default()).await,
        6 | 8 => {
            kernel.packet(tcp(20), 100);
            Ok(())
        }
        7 => {
            kernel.packet(FlowKey::reply(tcp(20).inverse()), 100);
            Ok(())
        }
        9 => {
            let many = (30..33).map(|n| Change::Create(new(n).mark(1)));
            handle.bulk(many).await.map(drop)
        }
        10 => handle.set_mark(udp(1), 0).await,
        11 => {
            kernel.advance(Duration::from_secs(1));
            Ok(())
        }
        12 => handle.delete(udp(10)).await,
        13 => handle.flush(Table::Conntrack).await.map(drop),
        _ => handle.create(new(11).mark(2)).await,
    };
    drop(done);
}

/// How a fault shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Told,
    /// It is not reported.
    Silent,
    /// Until the kernel recovers, each request waits for its deadline.
    Lasting,
}

/// The result of a run.
#[derive(Debug, Default)]
struct Seen {
    errors: usize,
    overruns: u64,
    syncs: u64,
    healed: u64,
}

/// Whatever happens, a mirror that is in sync equals the table, and the mirror gets in sync. If
/// datagrams of the kernel are lost silently, the first is impossible. The second is true after an
/// event of each flow.
async fn live(order: impl FnOnce(&Kernel), kind: Kind, what: &dyn Debug) -> Seen {
    let kernel = audible(|kernel| kernel.labels(true));
    fill(&kernel, 5);
    let timeout = Duration::from_millis(if kind == Kind::Lasting { 30 } else { 500 });
    let options = || Options::new().kernel(&kernel).request_timeout(timeout);
    let actor = options().connect().await.expect("a connection");
    let handle = options().connect().await.expect("a connection");
    let is_silent = kind == Kind::Silent;
    order(&kernel);
    let builder = handle.mirror().recheck(Duration::from_secs(1));
    let mirror = match builder.clone().await {
        Ok(mirror) => mirror,
        Err(_) => {
            kernel.recover();
            builder.await.expect("a mirror")
        }
    };
    let watch = Watch::new(&kernel, mirror);
    let check = |at: &str| {
        if !is_silent && watch.reader.is_synced() {
            assert_eq!(watch.difference(), None, "{what:?}, {at}: {}", watch.told());
        }
    };
    for number in 0..STEPS {
        step(number, &kernel, &actor).await;
        check("at once");
        for _ in 0..4 {
            yield_now().await;
            check("while it works");
        }
        sleep(Duration::from_millis(600)).await;
        check("after it");
    }
    kernel.recover();
    // With enough time for a busy machine.
    let actor = Options::new().kernel(&kernel).connect().await;
    let actor = actor.expect("a connection");
    for flow in kernel.flows() {
        actor.set_mark(&flow, 9).await.expect("a mark");
    }
    let is_whole = || watch.reader.is_synced() && (!is_silent || watch.difference().is_none());
    watch.until(is_whole).await;
    check("in the end");
    let told = watch.told();
    Seen {
        errors: told.errors.len(),
        overruns: told.stats.overruns,
        syncs: told.stats.syncs,
        healed: told.stats.unreported + told.stats.swept,
    }
}

/// Puts the fault at each datagram, and returns the sum of the results.
async fn everywhere<F: Debug + Copy>(
    fault: F,
    kind: Kind,
    order: impl Fn(&Kernel, u64, F),
) -> Seen {
    let mut all = Seen::default();
    for nth in 0..DATAGRAMS {
        let what = (fault, nth);
        let seen = live(|kernel| order(kernel, nth, fault), kind, &what);
        let seen = seen.await;
        all.errors += seen.errors;
        all.overruns += seen.overruns;
        all.syncs += seen.syncs - 1;
        all.healed += seen.healed;
    }
    all
}

#[test]
fn without_one() {
    run(async {
        let seen = live(|_| (), Kind::Told, &"none").await;
        assert_eq!(
            (seen.errors, seen.overruns, seen.healed),
            (0, 0, 0),
            "{seen:?}"
        );
        assert_eq!(seen.syncs, 1);
    });
}

#[test]
fn of_requests() {
    run(async {
        let seen = everywhere(RequestFault::Denied, Kind::Told, Kernel::on_request).await;
        assert!(seen.errors > 0 && seen.syncs > 0, "{seen:?}");
        // These faults hit one datagram, either the actor's or the mirror's.
        for fault in [RequestFault::AnswersLost, RequestFault::NoMemory] {
            everywhere(fault, Kind::Told, Kernel::on_request).await;
        }
        // Requests with these faults are repeated.
        for fault in [
            RequestFault::Overrun,
            RequestFault::Interrupted,
            RequestFault::TooLong,
            RequestFault::Delay(Duration::from_millis(1)),
        ] {
            let seen = everywhere(fault, Kind::Told, Kernel::on_request).await;
            assert_eq!(seen.overruns, 0, "{fault:?}: {seen:?}");
        }
    });
}

#[test]
fn a_kernel_that_is_stuck() {
    run(async {
        let seen = everywhere(RequestFault::Stuck, Kind::Lasting, Kernel::on_request).await;
        assert!(seen.errors > 0 && seen.syncs > 0, "{seen:?}");
    });
}

#[test]
fn of_answers() {
    run(async {
        let seen = everywhere(AnswerFault::CutTo(30), Kind::Told, Kernel::on_answer).await;
        assert!(seen.errors > 0 && seen.syncs > 0, "{seen:?}");
        let seen = everywhere(AnswerFault::Twice, Kind::Told, Kernel::on_answer).await;
        assert_eq!(seen.overruns, 0, "{seen:?}");
        // The datagram may be the actor's or the mirror's.
        for fault in [AnswerFault::Lost, AnswerFault::Late] {
            everywhere(fault, Kind::Silent, Kernel::on_answer).await;
        }
    });
}

#[test]
fn of_events() {
    run(async {
        let seen = everywhere(EventFault::NoMemory, Kind::Told, Kernel::on_event).await;
        assert!(seen.overruns >= 15 && seen.syncs >= 10, "{seen:?}");
        for len in [0, 30] {
            let seen = everywhere(EventFault::CutTo(len), Kind::Told, Kernel::on_event).await;
            assert!(seen.errors >= 15 && seen.syncs >= 10, "{len}: {seen:?}");
        }
        let seen = everywhere(EventFault::Twice, Kind::Told, Kernel::on_event).await;
        assert_eq!(
            (seen.errors, seen.overruns, seen.syncs),
            (0, 0, 0),
            "{seen:?}"
        );
        let seen = everywhere(EventFault::Lost, Kind::Silent, Kernel::on_event).await;
        assert_eq!(
            (seen.errors, seen.overruns, seen.syncs),
            (0, 0, 0),
            "{seen:?}"
        );
        assert!(seen.healed > 5, "{seen:?}");
    });
}
