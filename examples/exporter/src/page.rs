//! The page that Prometheus reads.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::args::Compat;
use crate::family::{Family, Kind, Number};
use crate::http::Pages;
use crate::kernel::{self, Sample};
use crate::metrics::Source;

/// Makes the page.
pub struct Page {
    pub source: Arc<Source>,
    pub compat: Option<Compat>,
}

impl Pages for Page {
    async fn metrics(&self) -> String {
        let kernel = self.source.sample().await;
        let mut families = self.source.families(&kernel);
        if self.compat == Some(Compat::Node) {
            families.extend(node(&kernel));
        }
        write(families)
    }

    fn is_healthy(&self) -> bool {
        self.source.is_synced()
    }
}

/// The names of node_exporter: gauges without labels.
fn node(kernel: &Sample) -> Vec<Family> {
    let mut all = Vec::new();
    if let Some(table) = &kernel.table {
        all.push(Family::gauge(
            "node_nf_conntrack_entries",
            "Number of currently allocated flow entries for connection tracking.",
            table.entries,
        ));
        let max = table.max.unwrap_or(0);
        all.push(Family::gauge(
            "node_nf_conntrack_entries_limit",
            "Maximum size of connection tracking table.",
            max,
        ));
    }
    for (name, field) in kernel::FLOWS {
        if kernel::NODE.contains(&name) {
            let sum: u64 = kernel.flows.iter().filter_map(|(_, cpu)| field(cpu)).sum();
            let name = format!("node_nf_conntrack_stat_{name}");
            let help = "The kernel's counter, over all CPUs.";
            all.push(Family::new(name, help, Kind::Gauge).with([], sum));
        }
    }
    all
}

/// Writes the text format of OpenMetrics.
fn write(families: Vec<Family>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families(families)));
    let mut text = String::new();
    if let Err(error) = encode(&mut text, &registry) {
        tracing::error!(%error, "the metrics cannot be written");
    }
    text
}

#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for family in &self.0 {
            let kind = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut out = encoder.encode_descriptor(&family.name, &family.help, None, kind)?;
            for row in &family.rows {
                if row.labels.is_empty() {
                    number(&mut out, family.kind, row.value)?;
                } else {
                    number(&mut out.encode_family(&row.labels)?, family.kind, row.value)?;
                }
            }
        }
        Ok(())
    }
}

fn number(out: &mut MetricEncoder<'_>, kind: Kind, value: Number) -> fmt::Result {
    match (kind, value) {
        (Kind::Counter, Number::Int(value)) => out.encode_counter::<NoLabels, _, u64>(&value, None),
        (Kind::Counter, Number::Float(value)) => {
            out.encode_counter::<NoLabels, _, u64>(&value, None)
        }
        (Kind::Gauge, Number::Int(value)) => out.encode_gauge(&value),
        (Kind::Gauge, Number::Float(value)) => out.encode_gauge(&value),
    }
}

type NoLabels = [(&'static str, &'static str); 0];
