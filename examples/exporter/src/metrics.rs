//! The metrics and their names.

use std::borrow::Cow;

use ctnetlink::{ConntrackHandle, MirrorReader, MirrorState};
use tokio::sync::Mutex;

use crate::family::{Family, Kind};
use crate::kernel::{self, Field, Meters, Sample};
use crate::otlp::{Queue, QueueStats};
use crate::publisher::{Outbox, PublisherStats};
use crate::pump::{Numbers, Shared};

/// The source of all numbers.
pub struct Source {
    pub handle: ConntrackHandle,
    pub reader: MirrorReader,
    pub shared: Shared,
    pub outbox: Option<Outbox>,
    pub queue: Option<Queue>,
    /// The number of largest counts to show.
    pub top: usize,
    /// Concurrent requests take turns.
    pub meters: Mutex<Meters>,
}

impl Source {
    /// The kernel's numbers.
    pub async fn sample(&self) -> Sample {
        self.meters.lock().await.sample(&self.handle).await
    }

    pub fn is_synced(&self) -> bool {
        matches!(self.reader.state(), MirrorState::Synced { .. })
    }

    pub fn families(&self, kernel: &Sample) -> Vec<Family> {
        let mut all = Vec::new();
        of_kernel(kernel, &mut all);
        {
            let numbers = self.shared.lock();
            self.mirror(&numbers, &mut all);
            self.flows(&numbers, &mut all);
        }
        if let Some(outbox) = &self.outbox {
            of_publisher(&outbox.stats(), &mut all);
        }
        if let Some(queue) = &self.queue {
            of_queue(&queue.stats(), &mut all);
        }
        all
    }

    fn mirror(&self, numbers: &Numbers, all: &mut Vec<Family>) {
        let stats = &numbers.mirror;
        let entries = self.reader.len() as u64;
        let events = Family::new("conntrack_events", "Events of flows", Kind::Counter)
            .with([("type", "new".into())], stats.new)
            .with([("type", "update".into())], stats.updates)
            .with([("type", "destroy".into())], stats.destroys);
        let help = "Flows that left the mirror, by how that was known";
        let removed = Family::new("conntrack_flows_removed", help, Kind::Counter);
        let removed = numbers
            .removed
            .iter()
            .fold(removed, |family, (cause, count)| {
                family.with([("cause", (*cause).into())], *count)
            });
        all.extend([
            Family::gauge(
                "conntrack_mirror_entries",
                "Flows that the mirror holds",
                entries,
            ),
            Family::gauge(
                "conntrack_mirror_synced",
                "1 where the mirror is known to be whole",
                self.is_synced(),
            ),
            events,
            Family::counter("conntrack_events_lost", "Events that were lost", stats.lost),
            Family::counter("conntrack_overruns", "Gaps in the events", stats.overruns),
            Family::counter(
                "conntrack_resyncs",
                "Lists of the table that were begun after the first",
                stats.syncs.saturating_sub(1),
            ),
            Family::counter(
                "conntrack_sync_failures",
                "Lists that failed, or were not complete",
                stats.sync_failures,
            ),
            removed,
        ]);
        if let Some(took) = numbers.last_sync {
            all.push(Family::gauge(
                "conntrack_sync_duration_seconds",
                "How long the last list took",
                took.as_secs_f64(),
            ));
        }
        if let Some(queue) = self.reader.backlog() {
            all.push(Family::gauge(
                "conntrack_receive_queue_bytes",
                "Bytes of events that wait for the exporter",
                queue.used as u64,
            ));
            all.push(Family::gauge(
                "conntrack_receive_queue_limit_bytes",
                "Bytes of events that there is room for",
                queue.room as u64,
            ));
        }
    }

    fn flows(&self, numbers: &Numbers, all: &mut Vec<Family>) {
        let mut flows = Family::new("conntrack_flows", "Flows of the mirror", Kind::Gauge);
        for (class, count) in &numbers.flows {
            let labels = [
                ("family", class.family().into()),
                ("protocol", class.protocol()),
                ("state", class.state()),
            ];
            flows = flows.with(labels, *count);
        }
        all.push(flows);
        let help = "The largest numbers of flows, by a part of them";
        let mut top = Family::new("conntrack_top_flows", help, Kind::Gauge);
        for (by, ranking) in &numbers.rankings {
            for (part, count) in ranking.top(self.top) {
                let labels = [
                    ("by", by.as_str().into()),
                    ("value", part.to_string().into()),
                ];
                top = top.with(labels, count);
            }
        }
        if !top.rows.is_empty() {
            all.push(top);
        }
    }
}

fn of_kernel(kernel: &Sample, all: &mut Vec<Family>) {
    if let Some(table) = &kernel.table {
        let help = "Flows in the table, as the kernel counts them";
        all.push(Family::gauge("conntrack_entries", help, table.entries));
        if let Some(max) = table.max {
            let help = "Flows that the table may have";
            all.push(Family::gauge("conntrack_entries_limit", help, max));
        }
    }
    let help = "The kernel's counter";
    per_cpu("conntrack_stat", help, &kernel.flows, &kernel::FLOWS, all);
    let (help, fields) = (
        "The kernel's counter of expectations",
        &kernel::EXPECTATIONS,
    );
    per_cpu("conntrack_expect", help, &kernel.expectations, fields, all);
}

/// The counters that this kernel has.
fn per_cpu<T>(
    prefix: &str,
    help: &str,
    cpus: &[(u16, T)],
    fields: &[Field<T>],
    all: &mut Vec<Family>,
) {
    for (field, read) in fields {
        let (name, help) = (format!("{prefix}_{field}"), format!("{help} {field}"));
        let mut family = Family::new(name, help, Kind::Counter);
        for (cpu, totals) in cpus {
            if let Some(count) = read(totals) {
                family = family.with([("cpu", Cow::from(cpu.to_string()))], count);
            }
        }
        if !family.rows.is_empty() {
            all.push(family);
        }
    }
}

fn of_publisher(stats: &PublisherStats, all: &mut Vec<Family>) {
    all.extend([
        Family::gauge(
            "conntrack_nats_connected",
            "1 where the server takes messages",
            stats.is_connected,
        ),
        Family::counter(
            "conntrack_nats_acked",
            "Messages that the server has",
            stats.acked,
        ),
        Family::counter("conntrack_nats_acked_bytes", "Their bytes", stats.bytes),
        Family::counter(
            "conntrack_nats_duplicates",
            "Messages that it had already",
            stats.duplicates,
        ),
        Family::counter(
            "conntrack_nats_resent",
            "Messages that were sent again because no ACK came",
            stats.resent,
        ),
        Family::counter(
            "conntrack_nats_lost",
            "Messages that the spool had no room for",
            stats.lost,
        ),
        Family::gauge(
            "conntrack_nats_spool_memory_bytes",
            "Bytes that wait for the server in memory",
            stats.spool.memory_bytes as u64,
        ),
        Family::gauge(
            "conntrack_nats_spool_disk_bytes",
            "Bytes that wait for the server on disk",
            stats.spool.disk_bytes,
        ),
    ]);
}

fn of_queue(stats: &QueueStats, all: &mut Vec<Family>) {
    all.extend([
        Family::counter(
            "conntrack_otlp_sent",
            "Records that the collector has",
            stats.sent,
        ),
        Family::counter("conntrack_otlp_sent_bytes", "Their bytes", stats.bytes),
        Family::counter(
            "conntrack_otlp_retries",
            "Requests that were tried again",
            stats.retries,
        ),
        Family::counter(
            "conntrack_otlp_refused",
            "Records that the collector refused",
            stats.refused,
        ),
        Family::counter(
            "conntrack_otlp_lost",
            "Records that the queue had no room for",
            stats.lost,
        ),
        Family::gauge(
            "conntrack_otlp_waiting",
            "Records that wait for the collector",
            stats.waiting,
        ),
    ]);
}
