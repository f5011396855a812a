//! Counts that do not wrap.

use std::collections::BTreeMap;

use super::{CpuCounters, CpuStats};

/// Turns the kernel's counters, which wrap at 2³², into 64-bit counts that only grow.
///
/// Pass it every sample. Between two samples, a counter may wrap only once. The first sample is
/// counted in full.
///
/// ```
/// # async fn count(handle: ctnetlink::ConntrackHandle) -> ctnetlink::Result<()> {
/// use ctnetlink::StatsMeter;
///
/// let mut meter = StatsMeter::new();
/// loop {
///     let totals = meter.update(&handle.cpu_stats().await?);
///     println!("{:?} packets dropped", totals.drop);
///     tokio::time::sleep(std::time::Duration::from_secs(60)).await;
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct StatsMeter<C: CpuCounters> {
    last: BTreeMap<u16, C>,
    totals: C::Totals,
}

impl<C: CpuCounters> StatsMeter<C> {
    /// Creates a meter without a sample.
    pub fn new() -> Self {
        Self {
            last: BTreeMap::new(),
            totals: C::Totals::default(),
        }
    }

    /// Adds a sample, and returns the counts up to it.
    pub fn update(&mut self, sample: &[CpuStats<C>]) -> C::Totals {
        for CpuStats { cpu, counters } in sample {
            let last = self.last.insert(*cpu, *counters);
            counters.add_since(last.as_ref(), &mut self.totals);
        }
        self.totals
    }

    /// The counts up to the last sample.
    pub fn totals(&self) -> C::Totals {
        self.totals
    }
}

impl<C: CpuCounters> Default for StatsMeter<C> {
    fn default() -> Self {
        Self::new()
    }
}
