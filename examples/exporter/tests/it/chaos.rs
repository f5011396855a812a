//! Programs are killed and connections are cut during traffic. Only the messages that overrun messages count are lost,
//! and none comes twice.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use conntrack_exporter::message::{Message, Reason, What, now};
use ctnetlink::{Change, NewFlow, Tuple};

use crate::process::{
    Process, Scratch, connect, eventually, get, nats_server, number, set, stream, told_until,
};
use crate::support::namespace::{block_on, isolated};
use crate::support::peer::Peer;

const METRICS: &str = "127.0.0.1:9466";
const URL: &str = "nats://192.0.2.1:4222";

fn exporter(scratch: &Scratch, memory: &str) -> Process {
    let spool = scratch.join("spool");
    let exporter = Process::serve(&[
        "--prometheus",
        METRICS,
        "--nats",
        URL,
        "--node",
        "near",
        "--spool",
        &spool,
        "--spool-memory",
        memory,
    ]);
    eventually("the exporter is in sync", || {
        (get(METRICS, "/healthz")?.0 == 200).then_some(())
    });
    exporter
}

/// Flows that begin and end, one after the other, until it is stopped.
struct Traffic {
    is_over: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    thread: JoinHandle<Vec<(u64, u64)>>,
}

impl Traffic {
    fn start() -> Self {
        let (is_over, count) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (over, counted) = (is_over.clone(), Arc::<AtomicUsize>::clone(&count));
        let thread = thread::spawn(move || {
            block_on(async {
                let handle = connect();
                let mut ends = Vec::new();
                while !over.load(SeqCst) {
                    let tuple = tuple(ends.len());
                    let flow = NewFlow::new(tuple, Duration::from_secs(600));
                    let report = handle.bulk([Change::create(flow)]).await.expect("created");
                    assert_eq!(report.applied, 1);
                    let before = now();
                    handle.delete(tuple).await.expect("deleted");
                    ends.push((before, now()));
                    counted.store(ends.len(), SeqCst);
                }
                ends
            })
        });
        Self {
            is_over,
            count,
            thread,
        }
    }

    /// Waits until this many more have ended.
    fn more(&self, flows: usize) {
        let wanted = self.count.load(SeqCst) + flows;
        eventually("more traffic", || {
            (self.count.load(SeqCst) >= wanted).then_some(())
        });
    }

    /// A range of time in which each of the flows ended.
    fn stop(self) -> Vec<(u64, u64)> {
        self.is_over.store(true, SeqCst);
        self.thread.join().expect("no panic")
    }
}

fn tuple(n: usize) -> Tuple {
    let source = format!("10.{}.{}.{}:4000", n >> 16, n >> 8 & 0xff, n & 0xff);
    Tuple::tcp(source.parse().unwrap(), "198.51.100.1:443".parse().unwrap()).unwrap()
}

/// How often the end of each flow was published.
fn told(messages: &[Message]) -> BTreeMap<Tuple, usize> {
    let mut told = BTreeMap::new();
    for message in messages {
        if let What::End { flow, .. } = &message.what {
            *told.entry(flow.orig).or_default() += 1;
        }
    }
    told
}

#[test]
fn an_exporter_killed_amid_traffic_loses_what_its_overrun_messages_count_and_no_more() {
    isolated(|| {
        set("net/netfilter/nf_conntrack_timestamp", "1");
        let scratch = Scratch::new("killed");
        let _peer = block_on(Peer::new());
        let mut server = Some(nats_server(&scratch));
        let mut running = exporter(&scratch, "1000000");
        let traffic = Traffic::start();
        let mut marks = Vec::new();
        for is_server_away in [false, true, false] {
            traffic.more(100);
            if is_server_away {
                // Messages on disk would not be lost, and later messages would wait behind them.
                eventually("it publishes, from memory", || {
                    let acked = number(METRICS, "conntrack_nats_acked_total")?;
                    let on_disk = number(METRICS, "conntrack_nats_spool_disk_bytes")?;
                    (acked > 0.0 && on_disk == 0.0).then_some(())
                });
                drop(server.take());
                let ended = || {
                    let name = "conntrack_flows_removed_total{cause=\"destroyed\"}";
                    number(METRICS, name)
                };
                // The ACKs for earlier ends may still be in flight.
                let before = eventually("a number", ended);
                traffic.more(100);
                eventually("messages wait", || (ended()? > before + 50.0).then_some(()));
            }
            let mark = now();
            marks.push(mark);
            eventually("the journal is of late", || {
                (told_until(&scratch, "spool")? > mark).then_some(())
            });
            // SIGKILL.
            drop(running);
            server.get_or_insert_with(|| nats_server(&scratch));
            traffic.more(30);
            running = exporter(&scratch, "1000000");
        }
        traffic.more(100);
        let ends = traffic.stop();
        let last = tuple(ends.len() - 1);
        let messages = eventually("the last end is in the stream", || {
            let messages = stream(URL);
            let lost = messages.iter().any(|message| {
                matches!(
                    message.what,
                    What::Overrun {
                        reason: Reason::Spool,
                        ..
                    }
                )
            });
            (lost && told(&messages).contains_key(&last)).then_some(messages)
        });
        assert!(running.stop());

        let told = told(&messages);
        assert!(told.values().all(|count| *count == 1), "an end came twice");
        let gaps = messages.iter().filter_map(|message| match message.what {
            What::Overrun {
                reason: Reason::Start,
                since,
                ..
            } => Some((since, message.seen)),
            _ => None,
        });
        let mut gaps: Vec<_> = gaps.collect();
        gaps.sort();
        assert_eq!(
            gaps.remove(0).0,
            None,
            "of the first run nobody knows a time"
        );
        assert_eq!(gaps.len(), marks.len());
        for ((since, _), mark) in gaps.iter().zip(&marks) {
            assert!(*since > Some(*mark), "the gap has what was told");
        }
        let counted: u64 = messages
            .iter()
            .filter_map(|message| match message.what {
                What::Overrun {
                    reason: Reason::Start,
                    ..
                } => None,
                What::Overrun { lost, .. } => lost,
                _ => None,
            })
            .sum();
        assert!(counted >= 50, "what waited is counted");
        let missing = (0..ends.len()).filter(|n| !told.contains_key(&tuple(*n)));
        let (in_gaps, others): (Vec<_>, Vec<_>) = missing.partition(|n| {
            let (from, to) = ends[*n];
            gaps.iter()
                .any(|(since, seen)| *since <= Some(to) && from <= *seen)
        });
        println!(
            "of {} flows {} ended in gaps, {} are missing beside them, {counted} are counted",
            ends.len(),
            in_gaps.len(),
            others.len()
        );
        assert!(in_gaps.len() >= 30, "some ended while nobody listened");
        assert!(others.len() >= 50, "some waited in memory");
        assert!(
            others.len() as u64 <= counted,
            "{} of {counted}",
            others.len()
        );
        drop(server);
    });
}

#[test]
fn what_is_on_disk_outlives_two_kills_and_comes_once() {
    isolated(|| {
        set("net/netfilter/nf_conntrack_timestamp", "1");
        let scratch = Scratch::new("disk");
        let _peer = block_on(Peer::new());
        let server = nats_server(&scratch);
        // All messages except one or two go to the disk.
        let running = exporter(&scratch, "1000");
        eventually("the server has the stream", || {
            (number(METRICS, "conntrack_nats_acked_total")? > 0.0).then_some(())
        });
        drop(server);
        eventually("the exporter sees that it is gone", || {
            (number(METRICS, "conntrack_nats_connected")? == 0.0).then_some(())
        });
        let traffic = Traffic::start();
        traffic.more(300);
        let ends = traffic.stop();
        eventually("the exporter has heard of all", || {
            let ended = number(
                METRICS,
                "conntrack_flows_removed_total{cause=\"destroyed\"}",
            )?;
            (ended == ends.len() as f64).then_some(())
        });
        drop(running);
        let server = nats_server(&scratch);
        let running = exporter(&scratch, "1000");
        eventually("some are delivered", || {
            (number(METRICS, "conntrack_nats_acked_total")? > 10.0).then_some(())
        });
        drop(running);
        let running = exporter(&scratch, "1000");
        let messages = eventually("the disk is empty", || {
            let waiting = number(METRICS, "conntrack_nats_spool_disk_bytes")?;
            (waiting == 0.0).then(|| stream(URL))
        });
        assert!(running.stop());
        let told = told(&messages);
        assert!(told.values().all(|count| *count == 1), "an end came twice");
        let counted = messages.iter().filter_map(|message| match message.what {
            What::Overrun {
                reason: Reason::Spool,
                lost,
                ..
            } => lost,
            _ => None,
        });
        let counted: u64 = counted.sum();
        let missing = (ends.len() - told.len()) as u64;
        assert!(missing <= counted && counted < 10, "{missing}, {counted}");
        drop(server);
    });
}

#[test]
fn a_network_that_is_cut_amid_traffic_costs_nothing() {
    isolated(|| {
        set("net/netfilter/nf_conntrack_timestamp", "1");
        let scratch = Scratch::new("cut");
        let peer = block_on(Peer::new());
        let server = nats_server(&scratch);
        let (ends, messages) = peer.run(|| {
            set("net/netfilter/nf_conntrack_timestamp", "1");
            // Memory has room for only some of them, so the disk is used.
            let running = exporter(&scratch, "20000");
            let traffic = Traffic::start();
            for _ in 0..2 {
                traffic.more(50);
                link("down");
                traffic.more(150);
                eventually("the spool is on disk", || {
                    (number(METRICS, "conntrack_nats_spool_disk_bytes")? > 0.0).then_some(())
                });
                link("up");
                eventually("the server has what waited", || {
                    (number(METRICS, "conntrack_nats_spool_disk_bytes")? == 0.0).then_some(())
                });
            }
            let ends = traffic.stop();
            let messages = eventually("all is in the stream", || {
                let messages = stream(URL);
                (told(&messages).len() == ends.len()).then_some(messages)
            });
            assert!(running.stop());
            (ends.len(), messages)
        });
        let told = told(&messages);
        assert_eq!(told, (0..ends).map(|n| (tuple(n), 1)).collect());
        let losses = messages.iter().filter(|message| match message.what {
            What::Overrun { reason, .. } => reason != Reason::Start,
            _ => false,
        });
        assert_eq!(losses.count(), 0);
        drop(server);
    });
}

/// Sets the peer's end of the veth pair down or up.
fn link(state: &str) {
    let set = Command::new("ip")
        .args(["link", "set", "vb", state])
        .status();
    assert!(set.expect("ip").success());
}
