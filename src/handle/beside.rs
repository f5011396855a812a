//! The verbs for everything except flows.

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
    /// The expectations: flows that a helper has announced and that are yet to come.
    pub fn expectations(&self) -> Expectations {
        Expectations::new(self.lanes.clone())
    }

    /// The timeout policies, and the default timeouts.
    pub fn timeouts(&self) -> TimeoutPolicies {
        TimeoutPolicies::new(self.lanes.clone())
    }

    /// The helpers in user space. They belong to the whole machine.
    pub fn user_helpers(&self) -> UserHelpers {
        UserHelpers::new(self.lanes.clone())
    }

    /// Returns the number of flows and its limit, without a walk of the table.
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

    /// The counters of each CPU in the namespace: packets dropped, failed inserts, early drops and
    /// others.
    ///
    /// `conntrack -S`; `IPCTNL_MSG_CT_GET_STATS_CPU` (Linux 3.6). The list may have CPUs that are
    /// not online. [`CpuStats::total`] gives the sums, and a [`StatsMeter`](crate::StatsMeter)
    /// keeps counting when the kernel's counters wrap.
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

    /// Checks this machine's setup, and names the cure for each problem: why the table is empty,
    /// why flows have no counters, why labels cannot be set, why events are missing.
    ///
    /// It asks the kernel, and reads settings from `/proc` if that is mounted, on its own thread.
    /// It changes nothing, though the kernel may load modules that it asks about. A fact that
    /// cannot be found out is `None` in the [facts](field@Preflight::facts), not an error. A
    /// missing right is not an error either.
    ///
    /// # Errors
    ///
    /// `Timeout`, `Closed` and `Io`: see [`ConntrackHandle`].
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
