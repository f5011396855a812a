//! Faults that a test can order: things that a kernel, a busy machine or an administrator may do to
//! a program.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What happens to a datagram of requests on its way to the kernel, or to its answers. Ordered by
/// [`Kernel::on_request`](super::Kernel::on_request).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestFault {
    /// The kernel carries out the requests, and their answers are lost without an error.
    AnswersLost,
    /// The kernel carries out the requests, and their answers find the receive queue full
    /// (`ENOBUFS`).
    Overrun,
    /// `CAP_NET_ADMIN` is gone, from now on.
    Denied,
    /// The send is interrupted by a signal (`EINTR`), once.
    Interrupted,
    /// The datagram is refused as too long (`EMSGSIZE`), once. Nothing reaches the kernel.
    TooLong,
    /// There is no memory for the datagram (`ENOBUFS` of the send), once. Nothing reaches the
    /// kernel.
    NoMemory,
    /// The send blocks for this long, as if the kernel were busy with another program's request. It
    /// is real time, not tokio's.
    Delay(Duration),
    /// The kernel takes this datagram and all later ones, and does nothing.
    Stuck,
}

/// What happens to a datagram of answers, or to a datagram of a dump. Ordered by
/// [`Kernel::on_answer`](super::Kernel::on_answer).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerFault {
    /// It is lost without an error.
    Lost,
    /// Only its first bytes come, as many as this.
    CutTo(usize),
    /// It comes twice.
    Twice,
    /// It comes after the next datagram of its socket.
    Late,
}

/// What happens to an event on its way to all listeners. Ordered by
/// [`Kernel::on_event`](super::Kernel::on_event).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventFault {
    /// It is lost without an error.
    Lost,
    /// It comes twice.
    Twice,
    /// There is no memory for it. It is lost to all listeners, and their next receive fails with
    /// `ENOBUFS`, even if their queues are empty.
    NoMemory,
    /// There is no memory to make it. The next receive of all listeners fails with `ENOBUFS`,
    /// nothing is counted as lost, and reliable listeners get it with the next event of its flow.
    Unmade,
    /// Only its first bytes come, as many as this.
    CutTo(usize),
}

/// The ordered faults, by the number of the datagram.
#[derive(Debug)]
struct Order<T> {
    seen: u64,
    faults: BTreeMap<u64, T>,
}

impl<T> Default for Order<T> {
    fn default() -> Self {
        Self {
            seen: 0,
            faults: BTreeMap::new(),
        }
    }
}

impl<T> Order<T> {
    fn add(&mut self, nth: u64, fault: T) {
        self.faults.insert(self.seen.saturating_add(nth), fault);
    }

    fn next(&mut self) -> Option<T> {
        let fault = self.faults.remove(&self.seen);
        self.seen += 1;
        fault
    }
}

/// A function that changes datagrams of the kernel.
pub(super) type Tamper = Box<dyn FnMut(&mut Vec<u8>) + Send>;

#[derive(Default)]
struct Tampering(Option<Tamper>);

impl fmt::Debug for Tampering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tampering({})", self.0.is_some())
    }
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    requests: Order<RequestFault>,
    answers: Order<AnswerFault>,
    events: Order<EventFault>,
    tampering: Tampering,
    denied: bool,
    stuck: bool,
    /// Are the answers to the current requests to be lost?
    pub(super) mute: bool,
}

impl Faults {
    pub(super) fn on_request(&mut self, nth: u64, fault: RequestFault) {
        self.requests.add(nth, fault);
    }

    pub(super) fn on_answer(&mut self, nth: u64, fault: AnswerFault) {
        self.answers.add(nth, fault);
    }

    pub(super) fn on_event(&mut self, nth: u64, fault: EventFault) {
        self.events.add(nth, fault);
    }

    pub(super) fn of_request(&mut self) -> Option<RequestFault> {
        let fault = self.requests.next();
        self.denied |= fault == Some(RequestFault::Denied);
        self.stuck |= fault == Some(RequestFault::Stuck);
        if self.stuck {
            return Some(RequestFault::Stuck);
        }
        fault
    }

    pub(super) fn of_answer(&mut self) -> Option<AnswerFault> {
        let fault = self.answers.next();
        if self.mute {
            Some(AnswerFault::Lost)
        } else {
            fault
        }
    }

    pub(super) fn of_event(&mut self) -> Option<EventFault> {
        self.events.next()
    }

    pub(super) fn tamper(&mut self, with: Tamper) {
        self.tampering.0 = Some(with);
    }

    /// Applies the tampering function to a datagram.
    pub(super) fn tampered(&mut self, mut datagram: Vec<u8>) -> Vec<u8> {
        if let Some(with) = &mut self.tampering.0 {
            with(&mut datagram);
        }
        datagram
    }

    pub(super) fn is_denied(&self) -> bool {
        self.denied
    }

    pub(super) fn recover(&mut self) {
        *self = Self::default();
    }
}
