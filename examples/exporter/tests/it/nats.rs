//! Messages to Debian's nats-server. The server and the exporters are killed. Also the answers of `fleet`.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use ctnetlink::{Change, NewFlow, Tuple};
use nix::sys::signal::Signal;

use crate::process::{
    Process, Scratch, connect, eventually, fleet, get, nats_server, number, told_until,
};
use crate::support::namespace::{block_on, isolated};
use crate::support::peer::Peer;

const URL: &str = "nats://192.0.2.1:4222";

/// Starts an exporter, and waits until its mirror is in sync.
fn node(name: &str, scratch: &Scratch, more: &[&str]) -> Process {
    let spool = scratch.join(name);
    let mut arguments = vec![
        "--prometheus",
        METRICS,
        "--nats",
        URL,
        "--node",
        name,
        "--spool",
        &spool,
        "--spool-memory",
        "8000",
    ];
    arguments.extend(more);
    let exporter = Process::serve(&arguments);
    eventually("the exporter is in sync", || {
        (get(METRICS, "/healthz")?.0 == 200).then_some(())
    });
    exporter
}

const METRICS: &str = "127.0.0.1:9466";

/// Makes flows that begin and end, from 10.0.`of`.x to 198.51.100.1, with x from `range`.
fn flows(of: u8, range: std::ops::Range<u8>) {
    block_on(async {
        let handle = connect();
        for n in range {
            let source = format!("10.0.{of}.{n}:4000").parse().unwrap();
            let tuple = Tuple::tcp(source, "198.51.100.1:443".parse().unwrap()).unwrap();
            let flow = NewFlow::new(tuple, Duration::from_secs(60));
            let report = handle.bulk([Change::create(flow)]).await.expect("created");
            assert_eq!(report.applied, 1);
            assert!(handle.delete(tuple).await.is_ok());
        }
    });
}

/// The sources of the ended flows to 198.51.100.1, sorted; each as often as it was published.
fn ended() -> Vec<String> {
    let told = fleet(&["--nats", URL, "talked", "198.51.100.1"]);
    let source = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(message["kind"], "end");
        message["flow"]["orig"]["src"]
            .as_str()
            .expect("a source")
            .to_owned()
    };
    let mut sources: Vec<_> = told.lines().map(source).collect();
    sources.sort();
    sources
}

fn wanted(all: &[(u8, std::ops::Range<u8>)]) -> Vec<String> {
    let each = all.iter().cloned();
    let sources = each.flat_map(|(of, range)| range.map(move |n| format!("10.0.{of}.{n}")));
    BTreeSet::from_iter(sources).into_iter().collect()
}

fn all_come(all: &[(u8, std::ops::Range<u8>)]) {
    let wanted = wanted(all);
    eventually("all ends are in the stream", || {
        (ended().len() >= wanted.len()).then_some(())
    });
    assert_eq!(ended(), wanted);
}

#[test]
fn nothing_is_lost_or_told_twice_while_the_server_is_killed_and_two_nodes_are_one_fleet() {
    isolated(|| {
        let scratch = Scratch::new("fleet");
        let peer = block_on(Peer::new());
        let running = nats_server(&scratch);
        let near = node("near", &scratch, &["--begin"]);
        let far = peer.run(|| node("far", &scratch, &[]));
        flows(1, 0..20);
        peer.run(|| flows(2, 0..20));
        all_come(&[(1, 0..20), (2, 0..20)]);

        // While the server is down, messages wait in memory and on disk. Memory has room for only some of them.
        drop(running);
        flows(1, 20..40);
        peer.run(|| flows(2, 20..40));
        let running = nats_server(&scratch);
        all_come(&[(1, 0..40), (2, 0..40)]);

        // If the exporter is stopped while the server is down, the next run sends the waiting messages.
        drop(running);
        flows(1, 40..60);
        eventually("the flows are in the spool", || {
            let page = get(METRICS, "/metrics")?.1;
            page.lines()
                .find(|line| line.starts_with("conntrack_flows_removed_total{cause=\"destroyed\"}"))
                .is_some_and(|line| line.ends_with(" 60"))
                .then_some(())
        });
        eventually("the journal is written", || {
            (told_until(&scratch, "near")? > 0).then_some(())
        });
        assert!(near.stop());
        let running = nats_server(&scratch);
        let near = node("near", &scratch, &["--begin"]);
        all_come(&[(1, 0..60), (2, 0..40)]);

        let top = fleet(&["--nats", URL, "top", "--by", "destination", "--n", "1"]);
        assert!(top.starts_with("198.51.100.1\t100 flows\t"), "{top}");
        let nat = fleet(&["--nats", URL, "nat", "10.0.1.7", "4000"]);
        assert_eq!(nat.lines().count(), 1, "{nat}");
        let nat = fleet(&["--nats", URL, "nat", "10.0.1.7", "4000", "--at", "1000"]);
        assert_eq!(nat, "");
        let lost = fleet(&["--nats", URL, "lost"]);
        let rows: Vec<_> = lost.lines().collect();
        assert_eq!(rows[0], "far\tstart\t1 times\t0 or more lost\t0.0 s unseen");
        // Since the run before it, which the spool remembers.
        let seconds = rows[1].strip_prefix("near\tstart\t2 times\t0 or more lost\t");
        let seconds = seconds.and_then(|rest| rest.strip_suffix(" s unseen"));
        let seconds: f64 = seconds.expect("seconds").parse().expect("a number");
        assert!(seconds > 0.0 && rows.len() == 2, "{lost}");
        drop((near, far, running));
    });
}

#[test]
fn what_the_spool_has_no_room_for_is_counted_by_an_overrun_message() {
    isolated(|| {
        let scratch = Scratch::new("overrun");
        let _peer = block_on(Peer::new());
        let arguments = [
            "--prometheus",
            METRICS,
            "--nats",
            URL,
            "--node",
            "near",
            "--spool-memory",
            "5000",
        ];
        let exporter = Process::serve(&arguments);
        eventually("the exporter is in sync", || {
            (get(METRICS, "/healthz")?.0 == 200).then_some(())
        });
        flows(1, 0..50);
        eventually("the exporter has heard of them", || {
            let page = get(METRICS, "/metrics")?.1;
            page.contains("conntrack_events_total{type=\"destroy\"} 50\n")
                .then_some(())
        });
        let running = nats_server(&scratch);
        let lost = eventually("the loss is told", || {
            let command = Command::new(env!("CARGO_BIN_EXE_conntrack-exporter"))
                .args(["fleet", "--nats", URL, "lost"])
                .output();
            let answer = String::from_utf8(command.ok()?.stdout).ok()?;
            let line = answer
                .lines()
                .find(|line| line.contains("\tspool\t"))?
                .to_owned();
            line.split('\t')
                .nth(3)?
                .strip_suffix(" lost")?
                .parse::<usize>()
                .ok()
        });
        eventually("what was kept is in the stream", || {
            (ended().len() + lost == 50).then_some(())
        });
        assert!(lost > 0 && lost < 50, "{lost}");
        exporter.signal(Signal::SIGTERM);
        drop((exporter, running));
    });
}

#[test]
fn so_many_wait_for_an_ack_and_no_more() {
    isolated(|| {
        let scratch = Scratch::new("flight");
        let _peer = block_on(Peer::new());
        let running = nats_server(&scratch);
        let near = node("near", &scratch, &["--in-flight", "4"]);
        let page = |name: &str| number(METRICS, name);
        eventually("the start is told", || {
            (page("conntrack_nats_acked_total")? == 1.0).then_some(())
        });
        running.signal(Signal::SIGSTOP);
        flows(1, 0..20);
        let resent = eventually("the ACKs are given up", || {
            page("conntrack_nats_resent_total").filter(|resent| *resent > 0.0)
        });
        assert_eq!(resent, 4.0);
        running.signal(Signal::SIGCONT);
        all_come(&[(1, 0..20)]);
        drop((near, running));
    });
}
