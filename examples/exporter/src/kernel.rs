//! The kernel's own statistics, in counts that do not wrap.

use std::collections::BTreeMap;

use ctnetlink::{
    ConntrackHandle, CpuCounters, CpuStats, ExpectationCounters, ExpectationTotals, StatsMeter,
    TableCounters, TableStats, TableTotals,
};

/// The kernel's counts at one moment.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    pub table: Option<TableStats>,
    pub flows: Vec<(u16, TableTotals)>,
    pub expectations: Vec<(u16, ExpectationTotals)>,
}

/// Reads the kernel's counters, and widens them, for each CPU separately.
#[derive(Debug, Default)]
pub struct Meters {
    flows: BTreeMap<u16, StatsMeter<TableCounters>>,
    expectations: BTreeMap<u16, StatsMeter<ExpectationCounters>>,
}

impl Meters {
    /// Statistics that cannot be read are left out.
    pub async fn sample(&mut self, handle: &ConntrackHandle) -> Sample {
        let told = |error: ctnetlink::Error| tracing::warn!(%error, "no statistics");
        let table = handle.stats().await.map_err(told).ok();
        let flows = handle.cpu_stats().await.map_err(told).unwrap_or_default();
        let expectations = handle.expectations().cpu_stats().await;
        let expectations = expectations.map_err(told).unwrap_or_default();
        Sample {
            table,
            flows: widen(&mut self.flows, &flows),
            expectations: widen(&mut self.expectations, &expectations),
        }
    }
}

fn widen<C: CpuCounters>(
    meters: &mut BTreeMap<u16, StatsMeter<C>>,
    stats: &[CpuStats<C>],
) -> Vec<(u16, C::Totals)> {
    let one = |cpu: &CpuStats<C>| {
        let meter = meters.entry(cpu.cpu).or_default();
        (cpu.cpu, meter.update(std::slice::from_ref(cpu)))
    };
    stats.iter().map(one).collect()
}

/// A counter's name, and how it is read.
pub type Field<T> = (&'static str, fn(&T) -> Option<u64>);

macro_rules! fields {
    ($($field:ident)+) => { [$((stringify!($field), |totals| totals.$field)),+] };
}

/// Each is `conntrack_stat_<name>_total`.
pub const FLOWS: [Field<TableTotals>; 15] = fields! {
    searched found new invalid ignore delete delete_list insert insert_failed drop early_drop error
    search_restart clash_resolve chain_toolong
};

/// Each is `conntrack_expect_<name>_total`.
pub const EXPECTATIONS: [Field<ExpectationTotals>; 3] = fields! { new create delete };

/// The counters of node_exporter. Each is the gauge `node_nf_conntrack_stat_<name>`, the sum over
/// the CPUs.
pub const NODE: [&str; 8] = [
    "found",
    "invalid",
    "ignore",
    "insert",
    "insert_failed",
    "drop",
    "early_drop",
    "search_restart",
];
