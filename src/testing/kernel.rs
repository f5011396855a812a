//! A fake kernel, as a test holds it.

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
/// Clones are the same kernel.
/// [`connect`](Self::connect) gives a handle that speaks to it, and to no other.
#[derive(Debug, Clone)]
pub struct Kernel(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    machine: Mutex<Machine>,
    /// Something may be there to be received.
    news: Condvar,
}

impl Kernel {
    /// A kernel of the newest release whose rules are known, 6.18, with an empty table.
    pub fn new() -> Self {
        KernelBuilder::default().build()
    }

    /// A kernel of another release, or with other settings: `Kernel::release("5.10")`.
    ///
    /// What `uname -r` prints is taken too. The rules are those of 4.19 and later.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where it is no release of Linux, or one
    /// before 4.19.
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
    /// A flow without a timeout gets 600 s. What stands in no table (`use_count`, `event_timestamp`,
    /// `secctx`) is left out.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) where the table has a flow of one of its
    /// tuples, [`NotFound`](crate::ErrorKind::NotFound) where it has not its master.
    pub fn insert(&self, flow: &Flow) -> Result<FlowId> {
        self.with(|machine| machine.restore(flow))
    }

    /// All flows, in the order in which they began.
    pub fn flows(&self) -> Vec<Flow> {
        self.with(|machine| machine.show_all())
    }

    /// Lets a packet of this tuple, and of so many bytes, through: it begins a flow, or refreshes
    /// the one that has the tuple in either direction, and makes the events of that.
    ///
    /// Of TCP the first packet stands for a SYN, the first reply for its answer, and the next of the
    /// original direction for the end of the handshake.
    pub fn packet(&self, of: impl Into<FlowKey>, bytes: u64) {
        let key = of.into();
        self.with(|machine| machine.packet(&key, bytes));
    }

    /// Moves the clock. Flows whose time has come end, each at its own time.
    pub fn advance(&self, by: Duration) {
        self.with(|machine| machine.advance(by));
    }

    /// A socket on this kernel, for what speaks netlink by bytes and not through this crate.
    pub fn socket(&self) -> FakeSocket {
        FakeSocket::open(self)
    }

    /// Orders a fault for the `nth` datagram of requests from now on; 0 is the next.
    ///
    /// Requests that wait together leave together, as one datagram; that of a walk of the table is one
    /// of its own.
    pub fn on_request(&self, nth: u64, fault: RequestFault) {
        self.with(|machine| machine.faults.on_request(nth, fault));
    }

    /// Orders a fault for the `nth` datagram of answers from now on; 0 is the next.
    pub fn on_answer(&self, nth: u64, fault: AnswerFault) {
        self.with(|machine| machine.faults.on_answer(nth, fault));
    }

    /// Orders a fault for the `nth` event that somebody listens to from now on; 0 is the next.
    pub fn on_event(&self, nth: u64, fault: EventFault) {
        self.with(|machine| machine.faults.on_event(nth, fault));
    }

    /// Takes back all faults: those to come, and those that last.
    pub fn recover(&self) {
        self.with(|machine| machine.faults.recover());
    }

    pub(crate) fn version(&self) -> (u16, u16) {
        self.with(|machine| machine.release.version)
    }

    /// How many sockets are open.
    #[cfg(test)]
    pub(crate) fn sockets(&self) -> usize {
        self.with(|machine| machine.ports.len())
    }

    /// Does `work`, and wakes whoever waits for what came of it.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Machine) -> T) -> T {
        let mut machine = self.lock();
        let done = work(&mut machine);
        let readable = machine.ports.values_mut().filter(|port| port.is_readable());
        let wakers: Vec<_> = readable
            .flat_map(|port| std::mem::take(&mut port.wakers))
            .collect();
        drop(machine);
        self.0.news.notify_all();
        // A waker may do anything: not under the lock.
        for waker in wakers {
            waker.wake();
        }
        done
    }

    /// Waits until it is so, or the deadline has passed. Is it so?
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
