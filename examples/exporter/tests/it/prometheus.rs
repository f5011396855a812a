//! The metrics page, read by the test and by Prometheus.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use ctnetlink::{ConntrackHandle, Filter, NewFlow, TcpState, Tuple};

use crate::process::{Process, Scratch, connect, eventually, get};
use crate::support::namespace::{block_on, isolated};
use crate::support::nft;
use crate::support::traffic::{TcpPair, udp};

const ADDRESS: &str = "127.0.0.1:9466";

type Metrics = BTreeMap<String, f64>;

fn scrape() -> Option<Metrics> {
    let (status, body) = get(ADDRESS, "/metrics")?;
    assert_eq!(status, 200);
    assert!(body.ends_with("# EOF\n"), "{body}");
    let rows = body.lines().filter(|line| !line.starts_with('#'));
    let row = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    };
    Some(rows.map(row).collect())
}

/// Waits until a metric has a value.
fn until(name: &str, value: f64) -> Metrics {
    let mut last = None;
    eventually(&format!("{name} is {value}"), || {
        let metrics = scrape()?;
        let is_so = metrics.get(name) == Some(&value);
        last = Some(metrics.get(name).copied());
        is_so.then_some(metrics)
    })
}

/// Makes this many TCP flows, from different sources.
async fn create(handle: &ConntrackHandle, count: u32) {
    let change = |n: u32| {
        let source = format!("10.{}.{}.{}:4000", n >> 16, n >> 8 & 0xff, n & 0xff);
        let tuple = Tuple::tcp(source.parse().unwrap(), "192.0.2.9:443".parse().unwrap());
        let flow = NewFlow::new(tuple.unwrap(), Duration::from_secs(3600));
        ctnetlink::Change::create(flow.tcp_state(TcpState::ESTABLISHED))
    };
    let report = handle.bulk((0..count).map(change)).await.expect("a report");
    assert_eq!(report.applied, u64::from(count));
}

#[test]
fn the_page_has_the_numbers_of_the_table_and_of_what_happened() {
    isolated(|| {
        let rules = nft::track().expect("rules");
        let arguments = [
            "--prometheus",
            ADDRESS,
            "--compat",
            "node",
            "--top",
            "2",
            "--by",
            "source,port",
        ];
        let exporter = Process::serve(&arguments);
        until("conntrack_mirror_synced", 1.0);
        block_on(async {
            let handle = connect();
            create(&handle, 3).await;
            let pair = TcpPair::connect("127.0.0.1:7000".parse().unwrap())
                .await
                .expect("a pair");
            for port in [6000, 6001] {
                let from = format!("127.0.0.2:{port}").parse().unwrap();
                udp(Some(from), "127.0.0.1:7001".parse().unwrap()).expect("a datagram");
            }
            let metrics = until(
                "conntrack_flows{family=\"ipv4\",protocol=\"udp\",state=\"\"}",
                2.0,
            );
            // The scrape's own connection is one of them.
            assert!(
                metrics["conntrack_flows{family=\"ipv4\",protocol=\"tcp\",state=\"ESTABLISHED\"}"]
                    >= 4.0
            );
            assert_eq!(
                metrics["conntrack_top_flows{by=\"source\",value=\"127.0.0.2\"}"],
                2.0
            );
            let top = |by: &str| metrics.keys().filter(|name| name.starts_with(by)).count();
            assert_eq!(top("conntrack_top_flows{by=\"source\""), 2);
            assert_eq!(top("conntrack_top_flows{by=\"port\""), 2);
            assert!(
                !metrics.keys().any(|name| name.contains("10.0.0.2")),
                "an address that is not at the top"
            );

            let table = handle.stats().await.expect("statistics");
            assert_eq!(
                metrics["conntrack_entries_limit"],
                f64::from(table.max.unwrap())
            );
            assert!(metrics["conntrack_entries"] >= 6.0);
            assert_eq!(
                metrics["node_nf_conntrack_entries_limit"],
                metrics["conntrack_entries_limit"]
            );
            let inserted =
                |cpu: &(&String, &f64)| cpu.0.starts_with("conntrack_stat_insert_total{cpu=");
            let cpus = handle.cpu_stats().await.expect("statistics").len();
            assert_eq!(metrics.iter().filter(inserted).count(), cpus);
            for name in [
                "invalid",
                "insert_failed",
                "drop",
                "early_drop",
                "clash_resolve",
                "chain_toolong",
                "error",
            ] {
                assert!(
                    metrics.contains_key(&format!("conntrack_stat_{name}_total{{cpu=\"0\"}}")),
                    "{name}"
                );
            }
            for name in [
                "found",
                "invalid",
                "insert",
                "insert_failed",
                "drop",
                "early_drop",
                "search_restart",
            ] {
                assert!(
                    metrics.contains_key(&format!("node_nf_conntrack_stat_{name}")),
                    "{name}"
                );
            }
            for name in ["new", "create", "delete"] {
                assert!(
                    metrics.contains_key(&format!("conntrack_expect_{name}_total{{cpu=\"0\"}}")),
                    "{name}"
                );
            }
            assert!(metrics["conntrack_events_total{type=\"new\"}"] >= 6.0);
            assert!(metrics["conntrack_events_total{type=\"update\"}"] >= 1.0);
            assert_eq!(metrics["conntrack_events_lost_total"], 0.0);
            assert_eq!(metrics["conntrack_overruns_total"], 0.0);
            assert_eq!(metrics["conntrack_resyncs_total"], 0.0);
            assert!(metrics["conntrack_receive_queue_limit_bytes"] >= f64::from(32 << 20));
            assert!(metrics.contains_key("conntrack_receive_queue_bytes"));

            let udp = Filter::builder().protocol(17).build().unwrap();
            assert_eq!(
                handle.delete_matching(udp).await.expect("deleted").applied,
                2
            );
            let metrics = until(
                "conntrack_flows{family=\"ipv4\",protocol=\"udp\",state=\"\"}",
                0.0,
            );
            assert!(metrics["conntrack_events_total{type=\"destroy\"}"] >= 2.0);
            assert!(metrics["conntrack_flows_removed_total{cause=\"destroyed\"}"] >= 2.0);
            assert!(
                !metrics.contains_key("conntrack_top_flows{by=\"source\",value=\"127.0.0.2\"}")
            );
            assert_eq!(get(ADDRESS, "/healthz").expect("an answer").0, 200);
            assert_eq!(get(ADDRESS, "/").expect("an answer").0, 404);
            drop(pair);
        });
        assert!(exporter.stop());
        rules.delete().expect("no rules");
    });
}

#[test]
fn a_queue_that_overflows_is_counted_and_healed() {
    isolated(|| {
        let exporter = Process::serve(&["--prometheus", ADDRESS, "--receive-buffer", "4096"]);
        until("conntrack_mirror_synced", 1.0);
        block_on(async {
            let handle = connect();
            exporter.signal(nix::sys::signal::Signal::SIGSTOP);
            create(&handle, 5000).await;
            exporter.signal(nix::sys::signal::Signal::SIGCONT);
            let metrics = until("conntrack_mirror_entries", 5000.0);
            assert!(metrics["conntrack_events_lost_total"] > 1000.0);
            assert!(metrics["conntrack_overruns_total"] >= 1.0);
            assert!(metrics["conntrack_resyncs_total"] >= 1.0);
            until("conntrack_mirror_synced", 1.0);
        });
    });
}

#[test]
fn a_scrape_of_many_flows_costs_what_one_of_few_does() {
    isolated(|| {
        let exporter = Process::serve(&["--prometheus", ADDRESS, "--top", "10", "--by", "source"]);
        until("conntrack_mirror_synced", 1.0);
        let quickest = || {
            let times = (0..30).map(|_| {
                let began = Instant::now();
                scrape().expect("a page");
                began.elapsed()
            });
            times.min().expect("a time")
        };
        let few = quickest();
        block_on(async {
            create(&connect(), 60_000).await;
        });
        until("conntrack_mirror_entries", 60_000.0);
        let many = quickest();
        println!("a scrape: {few:?} with no flow, {many:?} with 60 000");
        assert!(
            many < few * 4 + Duration::from_millis(5),
            "{few:?}, {many:?}"
        );
        drop(exporter);
    });
}

#[test]
fn prometheus_takes_it_and_the_alert_rules_are_whole() {
    isolated(|| {
        let scratch = Scratch::new("prometheus");
        let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/alerts.yml");
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{rules}]\n\
             scrape_configs: [{{job_name: conntrack, static_configs: [{{targets: ['{ADDRESS}']}}]}}]\n"
        );
        fs::write(scratch.join("prometheus.yml"), config).expect("a configuration");
        let check = Command::new("promtool")
            .args(["check", "rules", rules])
            .status();
        assert!(check.expect("promtool").success());
        let exporter = Process::serve(&["--prometheus", ADDRESS, "--compat", "node"]);
        let server = Process::start(
            Command::new("prometheus")
                .arg(format!("--config.file={}", scratch.join("prometheus.yml")))
                .arg(format!("--storage.tsdb.path={}", scratch.join("data")))
                .args(["--web.listen-address=127.0.0.1:9090", "--log.level=error"]),
        );
        let has = |query: &str, wanted: &str| {
            eventually(query, || {
                let (_, body) = get("127.0.0.1:9090", &format!("/api/v1/query?query={query}"))?;
                let body: serde_json::Value =
                    serde_json::from_str(body.lines().find(|line| line.starts_with('{'))?).ok()?;
                (body["data"]["result"][0]["value"][1] == wanted).then_some(())
            });
        };
        has("up", "1");
        has("conntrack_mirror_synced", "1");
        has("count(node_nf_conntrack_entries)", "1");
        has(
            "count(conntrack_stat_insert_total)%3E0",
            &cpus().to_string(),
        );
        drop((server, exporter));
    });
}

fn cpus() -> usize {
    block_on(async { connect().cpu_stats().await.expect("statistics").len() })
}
