//! A test's handle to a fake kernel.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::builder::KernelBuilder;
use super::faults::{AnswerFault, EventFault, RequestFault};
use super::machine::Machine;
use super::socket::FakeSocket;
use crate::error::Result;
use crate::flow::{Flow, FlowId, FlowKey};

/// A kernel with a connection tracking table, in the process.
///
/// Clones are the same kernel. [`connect`](Self::connect) gives a handle to its table.
#[derive(Debug, Clone)]
pub struct Kernel(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    machine: Mutex<Machine>,
    /// Signals that there may be something to receive.
    news: Condvar,
}

impl Kernel {
    /// A kernel of release 6.18, with an empty table.
    pub fn new() -> Self {
        KernelBuilder::default().build()
    }

    /// A kernel of another release, or with other settings: `Kernel::release("5.10")`.
    ///
    /// The output of `uname -r` is accepted too. The oldest known release is 4.19.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the text is not a release of Linux, or
    /// is older than 4.19.
    pub fn release(release: &str) -> Result<KernelBuilder> {
        KernelBuilder::of(release)
    }

    pub(super) fn of(machine: Machine) -> Self {
        Self(Arc::new(Shared {
            machine: Mutex::new(machine),
            news: Condvar::new(),
        }))
    }

    /// Puts a flow into the table as it is, counters, times and id included, without an event.
    ///
    /// A flow without a timeout gets 600 s. Fields that a table does not store (`use_count`,
    /// `event_timestamp`, `secctx`) are ignored.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if the table has a flow of one of its
    /// tuples, [`NotFound`](crate::ErrorKind::NotFound) if its master is missing.
    pub fn insert(&self, flow: &Flow) -> Result<FlowId> {
        self.with(|machine| machine.restore(flow))
    }

    /// All flows, in the order in which they began.
    pub fn flows(&self) -> Vec<Flow> {
        self.with(|machine| machine.show_all())
    }

    /// Tracks a packet with this tuple and size. It begins a flow, or refreshes the flow with this
    /// tuple in either direction, and makes the events for it.
    ///
    /// For TCP, the first packet counts as the SYN, the first reply as the SYN-ACK, and the next
    /// packet of the original direction completes the handshake.
    pub fn packet(&self, of: impl Into<FlowKey>, bytes: u64) {
        let key = of.into();
        self.with(|machine| machine.packet(&key, bytes));
    }

    /// Moves the clock forward. Flows whose timeout passes end, each at its own time.
    pub fn advance(&self, by: Duration) {
        self.with(|machine| machine.advance(by));
    }

    /// A socket of this kernel, for tests that send and receive netlink messages themselves.
    pub fn socket(&self) -> FakeSocket {
        FakeSocket::open(self)
    }

    /// Orders a fault for the `nth` datagram of requests from now on; 0 is the next.
    ///
    /// Requests that wait at the same time are sent in one datagram; the request of a list or flush
    /// is a datagram of its own.
    pub fn on_request(&self, nth: u64, fault: RequestFault) {
        self.with(|machine| machine.faults.on_request(nth, fault));
    }

    /// Orders a fault for the `nth` datagram of answers from now on; 0 is the next.
    pub fn on_answer(&self, nth: u64, fault: AnswerFault) {
        self.with(|machine| machine.faults.on_answer(nth, fault));
    }

    /// Orders a fault for the `nth` event from now on; 0 is the next. Only events that have a
    /// listener count.
    pub fn on_event(&self, nth: u64, fault: EventFault) {
        self.with(|machine| machine.faults.on_event(nth, fault));
    }

    /// Passes every datagram of the kernel, answers and events, through this function, which may
    /// change it. So a program can be tested with bytes that no kernel sends.
    ///
    /// It is called while the kernel is locked, so it must not use the kernel.
    pub fn tamper(&self, with: impl FnMut(&mut Vec<u8>) + Send + 'static) {
        self.with(|machine| machine.faults.tamper(Box::new(with)));
    }

    /// Removes all faults, including the lasting ones.
    pub fn recover(&self) {
        self.with(|machine| machine.faults.recover());
    }

    pub(crate) fn version(&self) -> (u16, u16) {
        self.with(|machine| machine.release.version)
    }

    /// The number of open sockets.
    #[cfg(test)]
    pub(crate) fn sockets(&self) -> usize {
        self.with(|machine| machine.ports.len())
    }

    /// Does `work`, and wakes the tasks that wait for its result.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Machine) -> T) -> T {
        let mut machine = self.lock();
        let done = work(&mut machine);
        let readable = machine.ports.values_mut().filter(|port| port.is_readable());
        let wakers: Vec<_> = readable
            .flat_map(|port| std::mem::take(&mut port.wakers))
            .collect();
        drop(machine);
        self.0.news.notify_all();
        // Not under the lock: a waker may do anything.
        for waker in wakers {
            waker.wake();
        }
        done
    }

    /// Waits until the condition is true or the deadline has passed, and returns the condition.
    pub(super) fn wait(&self, deadline: Option<Instant>, is_so: impl Fn(&Machine) -> bool) -> bool {
        let mut machine = self.lock();
        while !is_so(&machine) {
            machine = match deadline {
                None => self
                    .0
                    .news
                    .wait(machine)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    let waited = self.0.news.wait_timeout(machine, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.0
            .machine
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Kernel {
    fn default() -> Self {
        Self::new()
    }
}
