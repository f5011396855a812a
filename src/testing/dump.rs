//! Dumps, which make one datagram for each read.

use super::filter::Filter;
use super::machine::{Machine, Message, Outcome, frame, netfilter};
use super::port::Port;
use super::redelivery::Dying;
use crate::wire::uapi::*;

const NLM_F_DUMP_FILTERED: u16 = 0x20;
/// The room of the first datagram, and the maximum room of any.
const FIRST: usize = 3776;
const LARGEST: usize = 32_448;
/// The bytes of the receive queue that a datagram takes in addition to its room.
const OVERHEAD: usize = 576;

/// A dump in progress.
#[derive(Debug, Clone)]
pub(super) struct Dump {
    seq: u32,
    what: What,
    /// The number of the next entry to send.
    next: u64,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    Flows {
        filter: Option<Filter>,
        zero_counters: bool,
    },
    CpuStats,
    ExpectationStats,
    /// The family, and the id of the master.
    Expectations(u8, Option<u32>),
    Dying(u8),
    Timeouts,
    UserHelpers,
    Nothing,
}

impl Machine {
    pub(super) fn dump_flows(&mut self, message: &Message<'_>) -> Result<Outcome, i32> {
        self.check_no_dump(message)?;
        let filter = self.filter(message, message.family)?;
        let zero_counters = message.kind == IPCTNL_MSG_CT_GET_CTRZERO;
        self.start_dump(
            message,
            What::Flows {
                filter,
                zero_counters,
            },
        )
    }

    /// Lists the dying table or the unconfirmed table, which is always empty.
    pub(super) fn get_others(&mut self, message: &Message<'_>) -> Result<Outcome, i32> {
        let what = match message.kind {
            IPCTNL_MSG_CT_GET_DYING => What::Dying(message.family),
            _ => What::Nothing,
        };
        match message.is_dump() {
            true => self.start_dump(message, what),
            false => Err(EOPNOTSUPP),
        }
    }

    /// A socket can have only one dump at a time.
    fn check_no_dump(&self, message: &Message<'_>) -> Result<(), i32> {
        let port = self.ports.get(&message.port);
        match port.is_some_and(|port| port.dump.is_some()) {
            true => Err(EBUSY),
            false => Ok(()),
        }
    }

    pub(super) fn start_dump(&mut self, message: &Message<'_>, what: What) -> Result<Outcome, i32> {
        self.check_no_dump(message)?;
        let seq = message.seq;
        if let Some(port) = self.ports.get_mut(&message.port) {
            port.dump = Some(Dump { seq, what, next: 0 });
        }
        // If there is no room, the dump still goes on with the next receive.
        self.step_dump(message.port)?;
        Ok(Outcome::Dumping)
    }

    /// Makes the next datagram of a dump (`netlink_dump`).
    pub(super) fn step_dump(&mut self, number: u32) -> Result<(), i32> {
        let Some(port) = self.ports.get_mut(&number) else {
            return Ok(());
        };
        let room = port.largest.clamp(FIRST, LARGEST);
        let truesize = room + OVERHEAD;
        let wanted = if self.release.defers_dumps {
            truesize
        } else {
            0
        };
        if port.used > 0 && port.used + wanted >= port.room {
            return Err(ENOBUFS);
        }
        let Some(mut dump) = port.dump.take() else {
            return Ok(());
        };
        let mut datagram = Vec::new();
        self.fill(number, &mut dump, room, &mut datagram);
        if datagram.is_empty() {
            let done = frame(NLMSG_DONE, NLM_F_MULTI, dump.seq, number, |out| {
                out.extend_from_slice(&0_i32.to_ne_bytes());
            });
            self.answer_dump(number, done, truesize);
        } else {
            if let Some(port) = self.ports.get_mut(&number) {
                port.dump = Some(dump);
            }
            self.answer_dump(number, datagram, truesize);
            // A datagram that was delayed behind the next one needs a next one.
            let held = self.ports.get(&number).is_some_and(Port::holds_back);
            if held {
                return self.step_dump(number);
            }
        }
        Ok(())
    }

    /// Fills a datagram with the entries that fit, and leaves it empty at the end.
    fn fill(&mut self, port: u32, dump: &mut Dump, room: usize, datagram: &mut Vec<u8>) {
        let ids = (dump.seq, port);
        // Appends a message if it fits.
        let mut put = |message: Vec<u8>| {
            let fits = datagram.len() + message.len() <= room;
            if fits {
                datagram.extend_from_slice(&message);
            }
            fits
        };
        match &dump.what {
            What::Nothing => {}
            What::Dying(family) => {
                let (now, release) = (self.now(), self.release);
                for Dying { flow, .. } in self.dying.iter().skip(dump.next as usize) {
                    let wanted = *family == AF_UNSPEC || *family == flow.family();
                    let head = (IPCTNL_MSG_CT_NEW, NLM_F_MULTI);
                    let message = netfilter(head, ids, (flow.family(), 0), |w| {
                        flow.write(&release, now, false, w)
                    });
                    if wanted && !put(message) {
                        return;
                    }
                    dump.next += 1;
                }
            }
            What::Timeouts | What::UserHelpers => {
                let messages = match dump.what {
                    What::Timeouts => self.show_timeouts(dump.next, ids),
                    _ => self.show_user_helpers(dump.next, ids),
                };
                for message in messages {
                    if !put(message) {
                        return;
                    }
                    dump.next += 1;
                }
            }
            What::Flows {
                filter,
                zero_counters,
            } => {
                self.reap();
                let now = self.now();
                let release = self.release;
                let filtered = match filter.is_some() && release.tuple_filter {
                    true => NLM_F_DUMP_FILTERED,
                    false => 0,
                };
                for (number, flow) in self.table.from(dump.next) {
                    if filter.as_ref().is_none_or(|filter| filter.matches(flow)) {
                        let head = (IPCTNL_MSG_CT_NEW, NLM_F_MULTI | filtered);
                        let message = netfilter(head, ids, (flow.family(), 0), |w| {
                            flow.write(&release, now, false, w)
                        });
                        // A flow that does not fit is sent later, with its counters already zeroed.
                        if *zero_counters {
                            flow.zero_counters();
                        }
                        if !put(message) {
                            dump.next = number;
                            return;
                        }
                    }
                    dump.next = number + 1;
                }
            }
            What::CpuStats | What::ExpectationStats => {
                for cpu in self.cpus.from(dump.next) {
                    let message = match dump.what {
                        What::CpuStats => self.cpu_stats(ids, cpu),
                        _ => self.expectation_stats(ids, cpu),
                    };
                    if !put(message) {
                        return;
                    }
                    dump.next += 1;
                }
            }
            What::Expectations(family, master) => {
                let from = u32::try_from(dump.next).unwrap_or(u32::MAX);
                for (number, expectation) in self.expectations.range(from..) {
                    let wanted = (*family == AF_UNSPEC || *family == expectation.tuple.family)
                        && master.is_none_or(|id| id == expectation.master);
                    if wanted
                        && !put(self.show_expectation(expectation, (0x0200, NLM_F_MULTI), ids))
                    {
                        dump.next = u64::from(*number);
                        return;
                    }
                    dump.next = u64::from(*number) + 1;
                }
            }
        }
    }
}
