//! Statistics.

use std::cell::Cell;

use super::dump::What;
use super::machine::{Machine, Message, Outcome, netfilter};
use crate::wire::uapi::*;

/// The counters of a CPU.
#[derive(Debug, Default)]
pub(super) struct CpuStats {
    /// How often NAT found a tuple that was in use.
    pub(super) found: Cell<u32>,
    pub(super) insert: u32,
    pub(super) expect_new: u32,
    pub(super) expect_create: u32,
    pub(super) expect_delete: u32,
}

/// The CPUs, one of which is current.
#[derive(Debug)]
pub(super) struct Cpus {
    all: Vec<CpuStats>,
    works: usize,
}

impl Cpus {
    pub(super) fn new(count: u16) -> Self {
        let count = count.max(1).into();
        let all = std::iter::repeat_with(CpuStats::default);
        Self {
            all: all.take(count).collect(),
            works: count - 1,
        }
    }

    /// Makes the next CPU current.
    pub(super) fn next(&mut self) {
        self.works = (self.works + 1) % self.all.len();
    }

    /// The counters of the current CPU.
    pub(super) fn counting(&self) -> &CpuStats {
        &self.all[self.works]
    }

    pub(super) fn count(&mut self) -> &mut CpuStats {
        &mut self.all[self.works]
    }

    /// The CPUs from this number on, with their numbers.
    pub(super) fn from(&self, number: u64) -> impl Iterator<Item = (u16, &CpuStats)> {
        let numbered = (0..).zip(&self.all);
        numbered.filter(move |(own, _)| u64::from(*own) >= number)
    }
}

/// The `CTA_STATS_` attributes that are sent.
const FOUND: u16 = 2;
const INVALID: u16 = 4;
const INSERT: u16 = 8;

impl Machine {
    /// `nf_conntrack_count`: it includes the dying flows.
    pub(super) fn count(&self) -> u64 {
        (self.table.len() + self.dying.len()) as u64
    }

    /// A single message, without a DONE message.
    pub(super) fn get_stats(&mut self, message: &Message<'_>) -> Result<Outcome, i32> {
        let entries = self.count() as u32;
        let bytes = netfilter(
            (IPCTNL_MSG_CT_GET_STATS, NLM_F_MULTI),
            (message.seq, message.port),
            (AF_UNSPEC, 0),
            |w| {
                w.put(1, &entries);
                w.put(2, &self.settings.max_flows);
            },
        );
        self.answer(message.port, bytes, super::port::DATA);
        Ok(Outcome::Done)
    }

    pub(super) fn get_cpu_stats(&mut self, message: &Message<'_>) -> Result<Outcome, i32> {
        match message.is_dump() {
            true => self.start_dump(message, What::CpuStats),
            false => Ok(Outcome::Done),
        }
    }

    pub(super) fn get_expectation_stats(&mut self, message: &Message<'_>) -> Result<Outcome, i32> {
        match message.is_dump() {
            true => self.start_dump(message, What::ExpectationStats),
            false => Ok(Outcome::Done),
        }
    }

    pub(super) fn cpu_stats(&self, ids: (u32, u32), (cpu, stats): (u16, &CpuStats)) -> Vec<u8> {
        let sent = [FOUND, INVALID].into_iter();
        let sent = sent.chain(INSERT..=self.release.last_counter);
        netfilter((0x0104, NLM_F_MULTI), ids, (AF_UNSPEC, cpu), |w| {
            for kind in sent {
                let value = match kind {
                    FOUND => stats.found.get(),
                    INSERT => stats.insert,
                    _ => 0,
                };
                w.put(kind, &value);
            }
        })
    }

    /// The kernel uses a message type of the other subsystem.
    pub(super) fn expectation_stats(
        &self,
        ids: (u32, u32),
        (cpu, stats): (u16, &CpuStats),
    ) -> Vec<u8> {
        netfilter(
            (IPCTNL_MSG_CT_GET_CTRZERO, NLM_F_MULTI),
            ids,
            (AF_UNSPEC, cpu),
            |w| {
                w.put(1, &stats.expect_new);
                w.put(2, &stats.expect_create);
                w.put(3, &stats.expect_delete);
            },
        )
    }
}
