//! Measures the load that one exporter can handle: a scrape of a table with many flows, and flows that end at a given
//! rate, published to Debian's nats-server on the same machine.
//!
//! `cargo bench --bench load -- --flows 1000000 --rate 60000` (root). The last line is one JSON object. The generator
//! of the load, the exporter and the server share the processors. `acked_per_s` is from the first end to the ACK of the
//! last; `exporter_cpu_us` is the processor time of the exporter's process for one flow; `wire_bytes` is all traffic on
//! the loopback for a flow, in both directions, with all headers; `disk_bytes` is the growth of the server's directory
//! for a flow.

// No item is public, and the bench uses only a part of the shared module.
#![allow(dead_code, unreachable_pub)]

#[path = "../../../benches/common/limits.rs"]
mod limits;
#[path = "../tests/it/process.rs"]
mod process;
#[path = "../tests/it/support/mod.rs"]
mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use ctnetlink::{Change, NewFlow, TcpState, Tuple};
use process::{Process, Scratch, connect, eventually, get, nats_server, number, set};
use serde_json::json;
use support::namespace::isolated;

const METRICS: &str = "127.0.0.1:9466";
const NATS: &str = "nats://127.0.0.1:4222";
const SCRAPES: usize = 100;
const LONGEST: Duration = Duration::from_secs(600);
/// Sends records to the collector.
const RECORDS: usize = 10_000;

fn main() {
    let (mut flows, mut rate) = (200_000, 60_000);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().and_then(|word| word.parse().ok());
        match word.as_str() {
            "--bench" => {}
            "--flows" => flows = value().expect("a number of flows"),
            "--rate" => rate = value().expect("a number of flows a second"),
            _ => panic!("{word} is not known"),
        }
    }
    let _limits = support::namespace::enter()
        .and_then(|()| limits::Limits::make_room(flows))
        .unwrap_or_else(|reason| panic!("cannot measure: {reason}"));
    let (nats, otlp) = isolated(move || {
        set("net/netfilter/nf_conntrack_acct", "1");
        set("net/netfilter/nf_conntrack_timestamp", "1");
        (to_server(flows, rate), to_collector())
    });
    println!("{}", summary(&nats, otlp, flows, rate));
}

struct Load {
    scrape: (Duration, Duration),
    page_bytes: usize,
    took: Duration,
    offered: Duration,
    lost: f64,
    resident_mib: (f64, f64),
    cpu: Duration,
    payload_bytes: f64,
    wire_bytes: f64,
    disk_bytes: f64,
    spool_bytes: f64,
}

fn to_server(flows: usize, rate: usize) -> Load {
    let scratch = Scratch::new("load");
    let server = nats_server(&scratch);
    let spool = scratch.join("spool");
    let exporter = Process::serve(&[
        "--prometheus",
        METRICS,
        "--nats",
        NATS,
        "--node",
        "bench",
        "--spool",
        &spool,
    ]);
    until_synced();
    block_on(async { fill(flows).await });
    eventually("the mirror has the flows", || {
        (number(METRICS, "conntrack_mirror_entries")? == flows as f64).then_some(())
    });
    until_synced();

    let mut page_bytes = 0;
    let mut times: Vec<_> = (0..SCRAPES)
        .map(|_| {
            let began = Instant::now();
            page_bytes = get(METRICS, "/metrics").expect("a page").1.len();
            began.elapsed()
        })
        .collect();
    times.sort();

    let acked = || number(METRICS, "conntrack_nats_acked_total").expect("a number");
    let (before, used, wire) = (acked(), cpu(&exporter), loopback());
    let (disk, bytes) = (size(scratch.join("jetstream").as_ref()), payload());
    let idle = resident_mib(&exporter);
    let began = Instant::now();
    let mut spool_bytes = 0.0_f64;
    let (offered, took) = thread::scope(|scope| {
        let ending = scope.spawn(|| {
            block_on(async { end(flows, rate).await });
            began.elapsed()
        });
        let lost = || number(METRICS, "conntrack_events_lost_total").expect("a number");
        // If the event of an end is lost, there is no message, or a late one.
        while acked() - before + lost() < flows as f64 {
            let spooled = ["memory", "disk"].map(|place| {
                number(METRICS, &format!("conntrack_nats_spool_{place}_bytes")).expect("a number")
            });
            spool_bytes = spool_bytes.max(spooled.iter().sum());
            assert!(began.elapsed() < LONGEST, "not all came");
            thread::sleep(Duration::from_millis(50));
        }
        let took = began.elapsed();
        (ending.join().expect("no panic"), took)
    });
    let per_flow = |bytes: f64| bytes / flows as f64;
    let load = Load {
        scrape: (times[SCRAPES / 2], times[SCRAPES - 1]),
        page_bytes,
        took,
        offered,
        lost: number(METRICS, "conntrack_events_lost_total").expect("a number"),
        resident_mib: (idle, resident_mib(&exporter)),
        cpu: cpu(&exporter) - used,
        payload_bytes: per_flow(payload() - bytes),
        wire_bytes: per_flow(loopback() - wire),
        disk_bytes: per_flow(size(scratch.join("jetstream").as_ref()) - disk),
        spool_bytes,
    };
    drop((exporter, server));
    load
}

fn payload() -> f64 {
    number(METRICS, "conntrack_nats_acked_bytes_total").expect("a number")
}

/// The bytes of log records per request, and per record.
fn to_collector() -> f64 {
    let listener = TcpListener::bind("127.0.0.1:4318").expect("a listener");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || take_all(stream));
        }
    });
    let exporter = Process::serve(&["--prometheus", METRICS, "--otlp", "http://127.0.0.1:4318"]);
    until_synced();
    block_on(async {
        fill(RECORDS).await;
        end(RECORDS, 20_000).await;
    });
    let sent = || number(METRICS, "conntrack_otlp_sent_total");
    eventually("all are sent", || (sent()? >= RECORDS as f64).then_some(()));
    let bytes = number(METRICS, "conntrack_otlp_sent_bytes_total").expect("a number");
    let per_record = bytes / sent().expect("a number");
    drop(exporter);
    per_record
}

/// A collector that does not read the requests.
fn take_all(stream: std::net::TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line
                .trim_end()
                .to_lowercase()
                .strip_prefix("content-length: ")
            {
                Some(value) => length = value.parse().ok()?,
                None if line == "\r\n" => break,
                None => {}
            }
        }
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).ok()?;
        writer
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .ok()?;
    }
}

/// No time limit: the limit of the tests is too short for a million flows.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

fn until_synced() {
    eventually("the exporter is in sync", || {
        (get(METRICS, "/healthz")?.0 == 200).then_some(())
    });
}

fn tuple(n: usize) -> Tuple {
    let source = format!(
        "10.{}.{}.{}:{}",
        n >> 16,
        n >> 8 & 0xff,
        n & 0xff,
        1024 + n % 60_000
    );
    let destination = format!("192.0.2.{}:443", n % 251);
    Tuple::tcp(
        source.parse().expect("an address"),
        destination.parse().expect("an address"),
    )
    .expect("a tuple")
}

async fn fill(flows: usize) {
    let handle = connect();
    let create = |n| {
        let flow = NewFlow::new(tuple(n), Duration::from_secs(86_400));
        Change::create(flow.tcp_state(TcpState::ESTABLISHED).mark(n as u32 & 0xff))
    };
    let report = handle.bulk((0..flows).map(create)).await.expect("a report");
    assert_eq!(report.applied, flows as u64);
}

/// Keeps a rate per second: a hundredth of it every 10 ms.
async fn end(flows: usize, rate: usize) {
    let handle = connect();
    let began = Instant::now();
    let step = (rate / 100).max(1);
    for (turn, from) in (0..flows).step_by(step).enumerate() {
        let due = began + Duration::from_millis(10) * turn as u32;
        tokio::time::sleep_until(due.into()).await;
        let some = (from..flows.min(from + step)).map(|n| Change::delete(tuple(n)));
        let ended = some.len() as u64;
        assert_eq!(handle.bulk(some).await.expect("a report").applied, ended);
    }
}

/// The peak memory of the process.
fn resident_mib(exporter: &Process) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", exporter.id())).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kib.expect("a number") / 1024.0
}

/// The processor time of the process.
fn cpu(exporter: &Process) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", exporter.id())).expect("its numbers");
    let (_, words) = stat.rsplit_once(')').expect("a name");
    let ticks = words.split(' ').skip(12).take(2);
    let ticks: u64 = ticks
        .map(|word| word.parse::<u64>().expect("a number"))
        .sum();
    // The kernel reports it in units of 10 ms.
    Duration::from_millis(ticks * 10)
}

/// The bytes of all traffic on the loopback.
fn loopback() -> f64 {
    let devices = fs::read_to_string("/proc/thread-self/net/dev").expect("the devices");
    let line = devices
        .lines()
        .find_map(|line| line.trim().strip_prefix("lo:"));
    let word = line.and_then(|line| line.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).expect("a number")
}

/// The bytes of all files in the directory.
fn size(directory: &Path) -> f64 {
    let entries = fs::read_dir(directory).expect("a directory").flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => size(&entry.path()),
            Ok(data) => data.len() as f64,
            Err(_) => 0.0,
        })
        .sum()
}

fn summary(load: &Load, otlp: f64, flows: usize, rate: usize) -> serde_json::Value {
    let round = |number: f64| (number * 1000.0).round() / 1000.0;
    let milliseconds = |time: Duration| round(time.as_secs_f64() * 1000.0);
    let per_second = |time: Duration| round(flows as f64 / time.as_secs_f64());
    json!({
        "bench": "load",
        "flows": flows,
        "rate": rate,
        "scrape_ms": milliseconds(load.scrape.0),
        "scrape_worst_ms": milliseconds(load.scrape.1),
        "page_bytes": load.page_bytes,
        "offered_per_s": per_second(load.offered),
        "acked_per_s": per_second(load.took),
        "lost": load.lost,
        "exporter_cpu_us": round(load.cpu.as_secs_f64() * 1e6 / flows as f64),
        "resident_mib": round(load.resident_mib.0),
        "resident_peak_mib": round(load.resident_mib.1),
        "spool_peak_bytes": load.spool_bytes,
        "payload_bytes": round(load.payload_bytes),
        "wire_bytes": round(load.wire_bytes),
        "disk_bytes": round(load.disk_bytes),
        "otlp_bytes": round(otlp),
    })
}
