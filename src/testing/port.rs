//! The kernel's side of a socket: a receive queue that counts bytes, and overflows.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use super::bpf;
use super::dump::Dump;
use super::faults::AnswerFault;
use super::machine::Machine;
use crate::wire::bpf::Instruction;
use crate::wire::uapi::ENOBUFS;

/// The bytes that an ACK or a small datagram takes in a receive queue.
pub(super) const ACK: usize = 832;
pub(super) const DATA: usize = 1280;
/// `SK_RMEM_MAX`, and the minimum of `SO_RCVBUF`.
const QUEUE: usize = 212_992;
const FLOOR: usize = 2304;
/// The part of a send queue that the kernel reserves for itself.
const SEND_OVERHEAD: usize = 32;

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Options {
    pub(super) cap_ack: bool,
    pub(super) ext_ack: bool,
    pub(super) broadcast_error: bool,
    pub(super) no_enobufs: bool,
}

#[derive(Debug)]
pub(super) struct Port {
    pub(super) options: Options,
    /// Bit n - 1 is group n.
    pub(super) groups: u32,
    pub(super) dump: Option<Dump>,
    /// The largest buffer that was used to receive.
    pub(super) largest: usize,
    pub(super) timeout: Option<Duration>,
    pub(super) room: usize,
    pub(super) used: usize,
    pub(super) drops: u64,
    /// The socket filter.
    pub(super) program: Option<Vec<Instruction>>,
    queue: VecDeque<(Vec<u8>, usize)>,
    congested: bool,
    error: Option<i32>,
    /// A datagram that is delayed behind the next one.
    late: Option<(Vec<u8>, usize)>,
    pub(super) wakers: Vec<Waker>,
}

impl Default for Port {
    fn default() -> Self {
        Self {
            options: Options::default(),
            groups: 0,
            dump: None,
            largest: 0,
            timeout: None,
            room: QUEUE,
            used: 0,
            drops: 0,
            program: None,
            queue: VecDeque::new(),
            congested: false,
            error: None,
            late: None,
            wakers: Vec::new(),
        }
    }
}

impl Port {
    /// The kernel doubles the requested number, within its limits.
    pub(super) fn set_room(&mut self, bytes: usize) {
        self.room = (bytes.min(QUEUE) * 2).max(FLOOR);
    }

    pub(super) fn send_room(&self) -> usize {
        QUEUE - SEND_OVERHEAD
    }

    pub(super) fn is_readable(&self) -> bool {
        self.error.is_some() || !self.queue.is_empty()
    }

    /// Is a datagram delayed behind the next one?
    pub(super) fn holds_back(&self) -> bool {
        self.late.is_some()
    }

    pub(super) fn has_datagram(&self) -> bool {
        self.error.is_none() && !self.queue.is_empty()
    }

    /// Queues a datagram if there is room. Otherwise it is lost, and the socket gets an error.
    fn push(&mut self, bytes: Vec<u8>, truesize: usize) {
        self.try_push(bytes, truesize);
    }

    /// Queues a datagram, and returns whether there was room.
    fn try_push(&mut self, bytes: Vec<u8>, truesize: usize) -> bool {
        let fits = self.used == 0 || self.used + truesize <= self.room;
        if self.congested || !fits {
            self.lose();
            return false;
        }
        self.force(bytes, truesize);
        true
    }

    /// Counts a datagram that could not be queued, because there was no room or no memory.
    pub(super) fn lose(&mut self) {
        self.drops += 1;
        self.overrun();
    }

    /// `netlink_set_err`: reports an event that could not be made. Nothing is counted. Returns
    /// whether the socket gets the error.
    pub(super) fn fail(&mut self) -> bool {
        let is_told = !self.options.no_enobufs;
        if is_told {
            self.error = Some(ENOBUFS);
        }
        is_told
    }

    /// Queues a datagram without a check for room.
    pub(super) fn force(&mut self, bytes: Vec<u8>, truesize: usize) {
        self.used += truesize;
        self.queue.push_back((bytes, truesize));
    }

    /// `netlink_overrun`: from now on everything is lost, until the queue is empty.
    pub(super) fn overrun(&mut self) {
        if !self.options.no_enobufs && !std::mem::replace(&mut self.congested, true) {
            self.error = Some(ENOBUFS);
        }
    }

    /// The next datagram, or the pending error, which comes before queued datagrams. `None` if
    /// there is nothing.
    pub(super) fn pop(&mut self) -> Option<Result<Vec<u8>, i32>> {
        let popped = match self.error.take() {
            Some(errno) => Some(Err(errno)),
            None => self.queue.pop_front().map(|(bytes, truesize)| {
                self.used -= truesize;
                Ok(bytes)
            }),
        };
        if self.queue.is_empty() {
            self.congested = false;
        }
        popped
    }
}

impl Machine {
    /// Queues an answer for the sender.
    pub(super) fn answer(&mut self, port: u32, bytes: Vec<u8>, truesize: usize) {
        let fault = self.faults.of_answer();
        let bytes = self.faults.tampered(bytes);
        if let Some(port) = self.ports.get_mut(&port) {
            port.with_fault(fault, bytes, truesize, Port::push);
        }
    }

    /// Queues a datagram of a dump, whose room was checked before.
    pub(super) fn answer_dump(&mut self, port: u32, bytes: Vec<u8>, truesize: usize) {
        let fault = self.faults.of_answer();
        let bytes = self.faults.tampered(bytes);
        if let Some(port) = self.ports.get_mut(&port) {
            port.with_fault(fault, bytes, truesize, Port::force);
        }
    }

    /// Queues an event for a listener. Returns whether a reliable listener had no room.
    pub(super) fn tell(&mut self, port: u32, bytes: Vec<u8>) -> bool {
        let bytes = self.faults.tampered(bytes);
        let Some(port) = self.ports.get_mut(&port) else {
            return false;
        };
        let mut programs = port.program.iter();
        if programs.any(|program| !bpf::passes(program, &bytes)) {
            return false;
        }
        !port.try_push(bytes, DATA) && port.options.broadcast_error
    }
}

impl Port {
    fn with_fault(
        &mut self,
        fault: Option<AnswerFault>,
        mut bytes: Vec<u8>,
        truesize: usize,
        put: fn(&mut Self, Vec<u8>, usize),
    ) {
        match fault {
            Some(AnswerFault::Lost) => return,
            Some(AnswerFault::Late) => return self.late = Some((bytes, truesize)),
            Some(AnswerFault::CutTo(len)) => bytes.truncate(len),
            Some(AnswerFault::Twice) => put(self, bytes.clone(), truesize),
            None => {}
        }
        put(self, bytes, truesize);
        if let Some((bytes, truesize)) = self.late.take() {
            self.force(bytes, truesize);
        }
    }
}
