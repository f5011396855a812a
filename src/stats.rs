//! Statistics: the number of flows, and the counters of each CPU.

mod counters;
mod meter;

pub use counters::{
    CpuCounters, ExpectationCounters, ExpectationTotals, TableCounters, TableTotals,
};
pub use meter::StatsMeter;

use crate::error::{Error, Result};
use crate::wire::attr::DecodeError;
use crate::wire::message::Frame;
use crate::wire::table::Context;

attributes! {
    /// The number of flows in the namespace, and its limit.
    ///
    /// `conntrack -C`; `IPCTNL_MSG_CT_GET_STATS` (Linux 3.6). `Display` is the line of `-C`.
    #[derive(Copy)]
    #[non_exhaustive]
    pub struct TableStats {
        /// The number of flows. It includes flows that are dying, or have expired and were not
        /// removed yet, so a list may return fewer. `CTA_STATS_GLOBAL_ENTRIES`.
        CTA_STATS_GLOBAL_ENTRIES => entries: u32,
        /// `nf_conntrack_max`: when it is reached, packets of new flows are dropped. 0 means no
        /// limit. The limit holds for each namespace by itself. `CTA_STATS_GLOBAL_MAX_ENTRIES`
        /// (Linux 4.18).
        CTA_STATS_GLOBAL_MAX_ENTRIES => max: Option<u32>,
    }
}

impl TableStats {
    /// Creates statistics with these numbers, for tests of programs that use them.
    pub const fn new(entries: u32, max: u32) -> Self {
        Self {
            entries,
            max: Some(max),
        }
    }

    pub(crate) fn from_message(message: &[u8]) -> Result<Self> {
        Error::reading(message, |frame| {
            Self::read(frame.attributes()?, &mut Context::default())
        })
    }
}

/// The counters of one CPU in this namespace, since the namespace was created: `C` is
/// [`TableCounters`] or [`ExpectationCounters`].
///
/// `Display` is the line of `conntrack -S`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct CpuStats<C = TableCounters> {
    /// The number of the CPU.
    pub cpu: u16,
    /// Its counters.
    pub counters: C,
}

impl<C: CpuCounters> CpuStats<C> {
    /// Creates the counters of a CPU, for tests of programs that use them.
    pub fn new(cpu: u16, counters: C) -> Self {
        Self { cpu, counters }
    }

    /// The sum of each counter over all CPUs; `None` for a counter that no CPU has.
    ///
    /// The counters of each CPU wrap at 2³², so a later sum can be the smaller one. Use a
    /// [`StatsMeter`] for counts between two samples.
    ///
    /// ```
    /// # use ctnetlink::CpuStats;
    /// # fn show(stats: &[CpuStats]) {
    /// println!("dropped: {:?}", CpuStats::total(stats).drop);
    /// # }
    /// ```
    pub fn total(stats: &[Self]) -> C::Totals {
        let mut totals = C::Totals::default();
        for cpu in stats {
            cpu.counters.add_since(None, &mut totals);
        }
        totals
    }

    /// The number of the CPU is in a header field that other messages do not use.
    pub(crate) fn decode(frame: &Frame<'_>) -> Result<Self, DecodeError> {
        let attributes = frame.attributes()?;
        Ok(Self {
            cpu: frame.resource()?,
            counters: C::read_all(attributes)?,
        })
    }
}

#[cfg(test)]
mod tests;
