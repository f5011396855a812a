//! The page of metrics: what is shown, and under which names.

use std::borrow::Cow;
use std::fmt;

use ctnetlink::{Backlog, ConntrackHandle, MirrorReader, MirrorState};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use tokio::sync::Mutex;

use crate::args::Compat;
use crate::http::Pages;
use crate::kernel::{self, Field, Meters, Sample};
use crate::publisher::{Outbox, PublisherStats};
use crate::pump::{Class, Shared};

/// Makes the page.
pub struct Page {
    pub handle: ConntrackHandle,
    pub reader: MirrorReader,
    pub shared: Shared,
    pub outbox: Option<Outbox>,
    pub compat: Option<Compat>,
    pub top: usize,
    /// Scrapes at a time are one after the other.
    pub meters: Mutex<Meters>,
}

impl Pages for Page {
    async fn metrics(&self) -> String {
        let kernel = self.meters.lock().await.sample(&self.handle).await;
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.scrape(kernel)));
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &registry) {
            tracing::error!(%error, "the metrics cannot be written");
        }
        text
    }

    fn is_healthy(&self) -> bool {
        matches!(self.reader.state(), MirrorState::Synced { .. })
    }
}

impl Page {
    fn scrape(&self, kernel: Sample) -> Scrape {
        let numbers = self.shared.lock();
        let top = numbers.rankings.iter().flat_map(|(by, ranking)| {
            let rows = ranking.top(self.top);
            rows.map(|(part, count)| (by.as_str(), part.to_string(), count))
        });
        Scrape {
            kernel,
            is_node: self.compat == Some(Compat::Node),
            is_synced: self.is_healthy(),
            entries: self.reader.len() as u64,
            queue: self.reader.backlog(),
            mirror: numbers.mirror,
            flows: numbers.flows.clone().into_iter().collect(),
            removed: numbers.removed.clone().into_iter().collect(),
            top: top.collect(),
            last_sync: numbers.last_sync.map(|took| took.as_secs_f64()),
            publisher: self.outbox.as_ref().map(Outbox::stats),
        }
    }
}

/// All numbers of one page.
#[derive(Debug)]
struct Scrape {
    kernel: Sample,
    is_node: bool,
    is_synced: bool,
    entries: u64,
    queue: Option<Backlog>,
    mirror: ctnetlink::MirrorStats,
    flows: Vec<(Class, u64)>,
    removed: Vec<(&'static str, u64)>,
    top: Vec<(&'static str, String, u64)>,
    last_sync: Option<f64>,
    publisher: Option<PublisherStats>,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut out = Out(encoder);
        self.kernel(&mut out)?;
        self.mirror(&mut out)?;
        self.flows(&mut out)?;
        if let Some(stats) = &self.publisher {
            publisher(stats, &mut out)?;
        }
        if self.is_node {
            self.node(&mut out)?;
        }
        Ok(())
    }
}

impl Scrape {
    fn kernel(&self, out: &mut Out) -> fmt::Result {
        if let Some(table) = &self.kernel.table {
            out.gauge(
                "conntrack_entries",
                "Flows in the table, as the kernel counts them",
                table.entries,
            )?;
            if let Some(max) = table.max {
                out.gauge(
                    "conntrack_entries_limit",
                    "Flows that the table may have",
                    max,
                )?;
            }
        }
        let (flows, expectations) = (&self.kernel.flows, &self.kernel.expectations);
        per_cpu(
            out,
            "conntrack_stat",
            "The kernel's counter",
            flows,
            &kernel::FLOWS,
        )?;
        let help = "The kernel's counter of expectations";
        per_cpu(
            out,
            "conntrack_expect",
            help,
            expectations,
            &kernel::EXPECTATIONS,
        )
    }

    fn mirror(&self, out: &mut Out) -> fmt::Result {
        let stats = &self.mirror;
        out.gauge(
            "conntrack_mirror_entries",
            "Flows that the mirror holds",
            self.entries,
        )?;
        let help = "1 where the mirror is known to be whole";
        out.gauge("conntrack_mirror_synced", help, u64::from(self.is_synced))?;
        let mut events = out.family("conntrack_events", "Events of flows", MetricType::Counter)?;
        for (kind, count) in [
            ("new", stats.new),
            ("update", stats.updates),
            ("destroy", stats.destroys),
        ] {
            count_of(&mut events, &[("type", kind.into())], count)?;
        }
        out.counter("conntrack_events_lost", "Events that were lost", stats.lost)?;
        out.counter("conntrack_overruns", "Gaps in the events", stats.overruns)?;
        let help = "Lists of the table that were begun after the first";
        out.counter("conntrack_resyncs", help, stats.syncs.saturating_sub(1))?;
        out.counter(
            "conntrack_sync_failures",
            "Lists that failed, or were not whole",
            stats.sync_failures,
        )?;
        if let Some(took) = self.last_sync {
            out.gauge_f64(
                "conntrack_sync_duration_seconds",
                "How long the last list took",
                took,
            )?;
        }
        let help = "Flows that left the mirror, by how that was known";
        let mut removed = out.family("conntrack_flows_removed", help, MetricType::Counter)?;
        for (cause, count) in &self.removed {
            count_of(&mut removed, &[("cause", (*cause).into())], *count)?;
        }
        if let Some(queue) = &self.queue {
            let help = "Bytes of events that wait for the exporter";
            out.gauge("conntrack_receive_queue_bytes", help, queue.used as u64)?;
            let help = "Bytes of events that there is room for";
            out.gauge(
                "conntrack_receive_queue_limit_bytes",
                help,
                queue.room as u64,
            )?;
        }
        Ok(())
    }

    fn flows(&self, out: &mut Out) -> fmt::Result {
        let mut flows = out.family("conntrack_flows", "Flows of the mirror", MetricType::Gauge)?;
        for ((family, protocol, state), count) in &self.flows {
            let labels: [Label; 3] = [
                ("family", (*family).into()),
                ("protocol", protocol.as_str().into()),
                ("state", state.as_str().into()),
            ];
            flows.encode_family(&labels)?.encode_gauge(count)?;
        }
        if !self.top.is_empty() {
            let help = "The largest numbers of flows, by a part of them";
            let mut top = out.family("conntrack_top_flows", help, MetricType::Gauge)?;
            for (by, part, count) in &self.top {
                let labels: [Label; 2] = [("by", (*by).into()), ("value", part.as_str().into())];
                top.encode_family(&labels)?.encode_gauge(count)?;
            }
        }
        Ok(())
    }

    /// node_exporter's names: gauges without a label.
    fn node(&self, out: &mut Out) -> fmt::Result {
        if let Some(table) = &self.kernel.table {
            let help = "Number of currently allocated flow entries for connection tracking.";
            out.gauge("node_nf_conntrack_entries", help, table.entries)?;
            let help = "Maximum size of connection tracking table.";
            out.gauge(
                "node_nf_conntrack_entries_limit",
                help,
                table.max.unwrap_or(0),
            )?;
        }
        for (name, field) in kernel::FLOWS {
            if kernel::NODE.contains(&name) {
                let sum: u64 = self
                    .kernel
                    .flows
                    .iter()
                    .filter_map(|(_, totals)| field(totals))
                    .sum();
                let help = "The kernel's counter, over all CPUs.";
                out.gauge(&format!("node_nf_conntrack_stat_{name}"), help, sum)?;
            }
        }
        Ok(())
    }
}

fn per_cpu<T>(
    out: &mut Out,
    prefix: &str,
    help: &str,
    cpus: &[(u16, T)],
    fields: &[Field<T>],
) -> fmt::Result {
    for (field, read) in fields {
        if cpus.iter().all(|(_, totals)| read(totals).is_none()) {
            continue;
        }
        let (name, help) = (format!("{prefix}_{field}"), format!("{help} {field}"));
        let mut family = out.family(&name, &help, MetricType::Counter)?;
        for (cpu, totals) in cpus {
            if let Some(count) = read(totals) {
                count_of(&mut family, &[("cpu", cpu.to_string().into())], count)?;
            }
        }
    }
    Ok(())
}

fn publisher(stats: &PublisherStats, out: &mut Out) -> fmt::Result {
    let help = "1 where the server takes messages";
    out.gauge(
        "conntrack_nats_connected",
        help,
        u64::from(stats.is_connected),
    )?;
    out.counter(
        "conntrack_nats_acked",
        "Messages that the server has",
        stats.acked,
    )?;
    out.counter("conntrack_nats_acked_bytes", "Their bytes", stats.bytes)?;
    out.counter(
        "conntrack_nats_duplicates",
        "Messages that it had already",
        stats.duplicates,
    )?;
    let help = "Messages that were sent again, for want of an ACK";
    out.counter("conntrack_nats_resent", help, stats.resent)?;
    let help = "Messages that the spool had no room for";
    out.counter("conntrack_nats_lost", help, stats.lost)?;
    let help = "Bytes that wait for the server in memory";
    out.gauge(
        "conntrack_nats_spool_memory_bytes",
        help,
        stats.spool.memory_bytes as u64,
    )?;
    let help = "Bytes that wait for the server on disk";
    out.gauge(
        "conntrack_nats_spool_disk_bytes",
        help,
        stats.spool.disk_bytes,
    )
}

type Label<'a> = (&'static str, Cow<'a, str>);

struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn family<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Into<u64>) -> fmt::Result {
        self.family(name, help, MetricType::Gauge)?
            .encode_gauge(&value.into())
    }

    fn gauge_f64(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.family(name, help, MetricType::Gauge)?
            .encode_gauge(&value)
    }

    /// Its name gets `_total`.
    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut family = self.family(name, help, MetricType::Counter)?;
        family.encode_counter::<[Label; 0], _, u64>(&value, None)
    }
}

fn count_of(family: &mut MetricEncoder, labels: &[Label; 1], value: u64) -> fmt::Result {
    family
        .encode_family(labels)?
        .encode_counter::<[Label; 0], _, u64>(&value, None)
}
