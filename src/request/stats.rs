//! Statistics: of the table, and of each CPU.

use std::sync::Arc;

use super::dump::dump;
use super::{RequestFuture, Verb};
use crate::error::Error;
use crate::stats::{CpuCounters, CpuStats, ExpectationCounters, TableCounters, TableStats};
use crate::transport::Lanes;
use crate::wire::message::Request;
use crate::wire::uapi::*;

verbs! {
    STATS = "stats", "asking for the number of flows";
    CPU_STATS = "cpu_stats", "asking for the counters of the CPUs";
    EXPECTATION_CPU_STATS = "expectation_cpu_stats", "asking for the CPUs' counters of expectations";
}

pub(crate) fn stats(lanes: Arc<Lanes>) -> RequestFuture<TableStats> {
    STATS.run(lanes, None, |task| async move {
        let request = Request::new(IPCTNL_MSG_CT_GET_STATS, 0, AF_UNSPEC);
        let data = task.call(request).await?.ok_or_else(Error::unanswered)?;
        TableStats::from_message(&data)
    })
}

pub(crate) fn cpu_stats(lanes: Arc<Lanes>) -> RequestFuture<Vec<CpuStats<TableCounters>>> {
    of_cpus(lanes, CPU_STATS, IPCTNL_MSG_CT_GET_STATS_CPU)
}

pub(crate) fn expectation_cpu_stats(
    lanes: Arc<Lanes>,
) -> RequestFuture<Vec<CpuStats<ExpectationCounters>>> {
    of_cpus(lanes, EXPECTATION_CPU_STATS, IPCTNL_MSG_EXP_GET_STATS_CPU)
}

/// The request must be a dump: otherwise the kernel sends only an ACK.
fn of_cpus<C: CpuCounters + Send + 'static>(
    lanes: Arc<Lanes>,
    verb: Verb,
    kind: u16,
) -> RequestFuture<Vec<CpuStats<C>>> {
    verb.run(lanes, None, move |task| async move {
        let request = Request::new(kind, NLM_F_DUMP, AF_UNSPEC);
        dump(&task, request, CpuStats::decode).await
    })
}
