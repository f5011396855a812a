//! Log records and metrics to a collector that is busy, refuses records, or is down.

use std::collections::BTreeSet;
use std::time::Duration;

use ctnetlink::{Change, NewFlow, TcpState, Tuple};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;

use crate::collector::{Collector, Log, Mood, URL, plain};
use crate::process::{Process, connect, eventually, get, number, set};
use crate::support::namespace::{block_on, isolated};
use crate::support::nft;
use crate::support::traffic::TcpPair;

const METRICS: &str = "127.0.0.1:9466";

fn exporter(more: &[&str]) -> Process {
    let mut arguments = vec!["--prometheus", METRICS, "--otlp", URL, "--node", "near"];
    arguments.extend(["--otlp-interval", "1"]);
    arguments.extend(more);
    let exporter = Process::serve(&arguments);
    eventually("the exporter is in sync", || {
        (get(METRICS, "/healthz")?.0 == 200).then_some(())
    });
    exporter
}

/// Makes flows that begin and end, from 10.0.0.x with x from `range`.
fn flows(range: std::ops::Range<u8>) {
    block_on(async {
        let handle = connect();
        for n in range {
            let source = format!("10.0.0.{n}:4000").parse().unwrap();
            let tuple = Tuple::tcp(source, "198.51.100.1:443".parse().unwrap()).unwrap();
            let flow = NewFlow::new(tuple, Duration::from_secs(60))
                .tcp_state(TcpState::ESTABLISHED)
                .mark(7);
            let report = handle.bulk([Change::create(flow)]).await.expect("created");
            assert_eq!(report.applied, 1);
            assert!(handle.delete(tuple).await.is_ok());
        }
    });
}

fn ends(collector: &Collector) -> Vec<Log> {
    collector.with(|got| {
        let ends = got
            .logs
            .iter()
            .filter(|log| log.event == "conntrack.flow.end");
        ends.cloned().collect()
    })
}

fn overruns(collector: &Collector, reason: &str) -> u64 {
    collector.with(|got| {
        let of = got.logs.iter().filter(|log| {
            log.event == "conntrack.overrun" && log.attributes["conntrack.overrun.reason"] == reason
        });
        of.map(|log| {
            log.attributes["conntrack.overrun.lost"]
                .parse::<u64>()
                .unwrap()
        })
        .sum()
    })
}

fn sources(logs: &[Log]) -> Vec<&str> {
    logs.iter()
        .map(|log| log.attributes["source.address"].as_str())
        .collect()
}

#[test]
fn a_flows_end_is_a_record_with_the_names_of_the_conventions() {
    isolated(|| {
        set("net/netfilter/nf_conntrack_acct", "1");
        set("net/netfilter/nf_conntrack_timestamp", "1");
        let rules = nft::track().expect("rules");
        let collector = Collector::start(Mood::Takes);
        let exporter = exporter(&[]);
        flows(1..2);
        let pair = block_on(TcpPair::connect("127.0.0.1:7000".parse().unwrap())).expect("a pair");
        drop(pair);
        block_on(async { connect().flush(ctnetlink::Table::Conntrack).await }).expect("a flush");
        let of = |wanted: &str, port: &str| {
            eventually("the record", || {
                ends(&collector).into_iter().find(|log| {
                    log.attributes["destination.address"] == wanted
                        && log
                            .attributes
                            .get("destination.port")
                            .is_some_and(|at| at == port)
                })
            })
        };
        let made = of("198.51.100.1", "443");
        for (name, value) in [
            ("source.address", "10.0.0.1"),
            ("source.port", "4000"),
            ("network.type", "ipv4"),
            ("network.transport", "tcp"),
            ("network.connection.state", "established"),
            ("conntrack.reply.source.address", "198.51.100.1"),
            ("conntrack.reply.source.port", "443"),
            ("conntrack.reply.destination.address", "10.0.0.1"),
            ("conntrack.reply.destination.port", "4000"),
            ("conntrack.zone", "0"),
            ("conntrack.mark", "7"),
            ("conntrack.end.cause", "destroyed"),
        ] {
            let found = made.attributes.get(name).map(String::as_str);
            assert_eq!(found, Some(value), "{name}: {made:?}");
        }
        assert!(made.attributes["conntrack.status"].contains("CONFIRMED"));
        assert_eq!(made.resource["service.name"], "conntrack-exporter");
        assert_eq!(made.resource["host.name"], "near");
        let real = of("127.0.0.1", "7000");
        let number = |name: &str| real.attributes[name].parse::<u64>().expect("a number");
        assert!(number("conntrack.orig.packets") >= 3 && number("conntrack.reply.packets") >= 1);
        assert!(number("conntrack.orig.bytes") > 100 && number("conntrack.reply.bytes") > 40);
        assert!(number("conntrack.start") < number("conntrack.stop"));
        assert_eq!(real.time, number("conntrack.stop"));
        let ids: BTreeSet<_> = [&made, &real]
            .map(|log| log.attributes["log.record.uid"].clone())
            .into();
        assert_eq!(ids.len(), 2);
        let start = collector.with(|got| got.logs[0].clone());
        assert_eq!(start.attributes["conntrack.overrun.reason"], "start");
        assert!(exporter.stop());
        rules.delete().expect("no rules");
    });
}

#[test]
fn every_number_of_the_page_is_a_metric_there() {
    isolated(|| {
        let collector = Collector::start(Mood::Takes);
        let exporter = exporter(&[
            "--nats",
            "nats://127.0.0.1:4222",
            "--top",
            "3",
            "--by",
            "source",
        ]);
        flows(1..4);
        block_on(async {
            let tuple = Tuple::udp(
                "10.9.9.9:53".parse().unwrap(),
                "10.9.9.8:53".parse().unwrap(),
            );
            let flow = NewFlow::new(tuple.unwrap(), Duration::from_secs(600));
            connect().create(flow).await.expect("created");
        });
        let value = |name: &str| {
            collector.with(|got| match got.metrics.get(name)?.data.as_ref()? {
                Data::Gauge(gauge) => gauge.data_points.first()?.value,
                Data::Sum(sum) => sum.data_points.first()?.value,
                _ => None,
            })
        };
        eventually("the collector has the numbers", || {
            let is_so = value("conntrack.mirror.entries")? == Value::AsInt(1)
                && value("conntrack.flow.removed")? == Value::AsInt(3);
            is_so.then_some(())
        });
        collector.with(|got| {
            let Some(Data::Gauge(flows)) = &got.metrics["conntrack.flow.count"].data else {
                panic!("no gauge");
            };
            let udp = flows
                .data_points
                .iter()
                .map(|point| plain(&point.attributes));
            let udp: Vec<_> = udp
                .filter(|labels| labels["network.transport"] == "udp")
                .collect();
            assert_eq!(udp.len(), 1);
            assert_eq!(udp[0]["network.type"], "ipv4");
            let Some(Data::Sum(sum)) = &got.metrics["conntrack.stat.insert"].data else {
                panic!("no sum");
            };
            assert!(sum.is_monotonic);
            assert_eq!(
                plain(&sum.data_points[0].attributes)["cpu.logical_number"],
                "0"
            );
            assert!(sum.data_points[0].start_time_unix_nano < sum.data_points[0].time_unix_nano);
        });
        eventually("there are as many names there as on the page", || {
            let page = get(METRICS, "/metrics")?.1;
            let on_page = page.lines().filter(|line| line.starts_with("# TYPE "));
            let there = collector.with(|got| got.metrics.len());
            (there == on_page.count()).then_some(())
        });
        drop(exporter);
    });
}

#[test]
fn what_a_busy_collector_has_no_time_for_waits_and_what_has_no_room_is_counted() {
    isolated(|| {
        let collector = Collector::start(Mood::Busy);
        let exporter = exporter(&["--otlp-queue", "20"]);
        let page = |name: &str| number(METRICS, name);
        eventually("it is tried again", || {
            (page("conntrack_otlp_retries_total")? >= 1.0).then_some(())
        });
        flows(0..50);
        eventually("all have ended, and some have no room", || {
            let (waiting, lost) = (
                page("conntrack_otlp_waiting")?,
                page("conntrack_otlp_lost_total")?,
            );
            // The message of the start was taken from the queue already.
            (waiting == 20.0 && waiting + lost == 50.0).then_some(())
        });
        collector.mood(Mood::Takes);
        eventually("the rest comes", || {
            (ends(&collector).len() == 20 && overruns(&collector, "spool") == 30).then_some(())
        });
        let ends = ends(&collector);
        let first: Vec<_> = (0..20).map(|n| format!("10.0.0.{n}")).collect();
        assert_eq!(sources(&ends), first);
        assert_eq!(page("conntrack_otlp_lost_total"), Some(30.0));
        // These are 20 ends, the start and the loss.
        assert_eq!(page("conntrack_otlp_sent_total"), Some(22.0));
        drop(exporter);
    });
}

#[test]
fn what_the_collector_refuses_is_counted_and_told() {
    isolated(|| {
        let collector = Collector::start(Mood::Takes);
        let exporter = exporter(&[]);
        let refused = |wanted: f64| {
            eventually("the refusal is counted", || {
                (number(METRICS, "conntrack_otlp_refused_total")? == wanted).then_some(())
            });
        };
        eventually("the start is told", || {
            (number(METRICS, "conntrack_otlp_sent_total")? == 1.0).then_some(())
        });
        collector.mood(Mood::Refuses);
        flows(1..2);
        // The flow, and the message about its refusal.
        refused(2.0);
        collector.mood(Mood::Picks);
        flows(2..3);
        eventually("the last record is told of as refused", || {
            (number(METRICS, "conntrack_otlp_refused_total")? >= 4.0).then_some(())
        });
        collector.mood(Mood::Takes);
        flows(3..4);
        eventually("what comes then is taken", || {
            (sources(&ends(&collector)) == ["10.0.0.3"]).then_some(())
        });
        drop(exporter);
    });
}

#[test]
fn without_a_collector_it_waits_for_one_and_ends_when_it_is_asked_to() {
    isolated(|| {
        let late = exporter(&[]);
        flows(0..30);
        let collector = Collector::start(Mood::Takes);
        eventually("all come", || (ends(&collector).len() == 30).then_some(()));
        assert!(late.stop());
        collector.mood(Mood::Busy);
        let exporter = exporter(&[]);
        flows(30..40);
        assert!(exporter.stop());
        assert_eq!(ends(&collector).len(), 30);
    });
}
