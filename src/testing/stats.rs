//! Statistics.

use std::cell::Cell;

use super::dump::What;
use super::machine::{Machine, Message, Outcome, netfilter};
use crate::wire::uapi::*;

/// The counters of the only CPU.
#[derive(Debug, Default)]
pub(super) struct CpuStats {
    /// How often a translation found a tuple taken.
    pub(super) found: Cell<u32>,
    pub(super) insert: u32,
    pub(super) expect_new: u32,
    pub(super) expect_create: u32,
    pub(super) expect_delete: u32,
}

/// `CTA_STATS_`: those that are sent.
const FOUND: u16 = 2;
const INVALID: u16 = 4;
const INSERT: u16 = 8;

impl Machine {
    /// `nf_conntrack_count`: with those whose end is yet to be told.
    pub(super) fn count(&self) -> u64 {
        (self.table.len() + self.dying.len()) as u64
    }

    /// One message, without an end.
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

    pub(super) fn cpu_stats(&self, ids: (u32, u32)) -> Vec<u8> {
        let sent = [FOUND, INVALID].into_iter();
        let sent = sent.chain(INSERT..=self.release.last_counter);
        netfilter((0x0104, NLM_F_MULTI), ids, (AF_UNSPEC, 0), |w| {
            for kind in sent {
                let value = match kind {
                    FOUND => self.stats.found.get(),
                    INSERT => self.stats.insert,
                    _ => 0,
                };
                w.put(kind, &value);
            }
        })
    }

    /// The type of the answer is of the other subsystem.
    pub(super) fn expectation_stats(&self, ids: (u32, u32)) -> Vec<u8> {
        netfilter(
            (IPCTNL_MSG_CT_GET_CTRZERO, NLM_F_MULTI),
            ids,
            (AF_UNSPEC, 0),
            |w| {
                w.put(1, &self.stats.expect_new);
                w.put(2, &self.stats.expect_create);
                w.put(3, &self.stats.expect_delete);
            },
        )
    }
}
