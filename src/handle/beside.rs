//! What the kernel has beside the flows.

mod expectations;
mod timeouts;
mod user_helpers;

pub use expectations::Expectations;
pub use timeouts::TimeoutPolicies;
pub use user_helpers::UserHelpers;

use super::ConntrackHandle;
use crate::preflight::Preflight;
use crate::request::{RequestFuture, preflight, stats};
use crate::stats::{CpuStats, TableStats};

impl ConntrackHandle {
    /// The expectations: flows that helpers have read of, and that are yet to come.
    pub fn expectations(&self) -> Expectations {
        Expectations::new(self.lanes.clone())
    }

    /// The timeout policies, and the default timeouts.
    pub fn timeouts(&self) -> TimeoutPolicies {
        TimeoutPolicies::new(self.lanes.clone())
    }

    /// The helpers in user space, of the whole machine.
    pub fn user_helpers(&self) -> UserHelpers {
        UserHelpers::new(self.lanes.clone())
    }

    /// How many flows there are, and how many there may be: no walk of the table.
    ///
    /// `conntrack -C`; `IPCTNL_MSG_CT_GET_STATS` (Linux 3.6).
    ///
    /// # Errors
    ///
    /// Those of every verb: see [`ConntrackHandle`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future discards the answer.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// let stats = handle.stats().await?;
    /// println!("{} flows, of at most {:?}", stats.entries, stats.max);
    /// # Ok(()) }) }
    /// ```
    pub fn stats(&self) -> RequestFuture<TableStats> {
        stats::stats(self.lanes.clone())
    }

    /// What each CPU has counted in the namespace: packets dropped, flows that found no room.
    ///
    /// `conntrack -S`; `IPCTNL_MSG_CT_GET_STATS_CPU` (Linux 3.6). CPUs come that could be there and
    /// are not. [`CpuStats::total`] sums, and a [`StatsMeter`](crate::StatsMeter) goes on counting
    /// where the kernel's counters wrap.
    ///
    /// # Errors
    ///
    /// Those of every verb: see [`ConntrackHandle`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future discards the answer.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::CpuStats;
    ///
    /// let stats = handle.cpu_stats().await?;
    /// println!("early drops: {:?}", CpuStats::total(&stats).early_drop);
    /// # Ok(()) }) }
    /// ```
    pub fn cpu_stats(&self) -> RequestFuture<Vec<CpuStats>> {
        stats::cpu_stats(self.lanes.clone())
    }

    /// Looks at what is missing on this machine, and says the cure: why the table is empty, flows
    /// have no counters, labels cannot be set, events do not come.
    ///
    /// It asks the kernel, and reads settings from `/proc` where that is there, on a thread of its
    /// own. It changes nothing; the kernel may load the modules that it is asked for. What cannot be
    /// known here is `None` in the [facts](field@Preflight::facts), and no error: nor is a missing right.
    ///
    /// # Errors
    ///
    /// Those of every verb that are no answers of the kernel's: see [`ConntrackHandle`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future discards what was found.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::{Check, Severity};
    ///
    /// let preflight = handle.preflight().await?;
    /// println!("{preflight}");
    /// assert!(preflight.severity() < Severity::Error);
    /// let counters = preflight.finding(Check::Accounting).unwrap();
    /// println!("{}: {:?}", counters.text, counters.cure);
    /// # Ok(()) }) }
    /// ```
    pub fn preflight(&self) -> RequestFuture<Preflight> {
        preflight::preflight(self.lanes.clone())
    }
}
