//! How many flows of each kind there are, kept as they come and go.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::flow::{DccpState, Family, Flow, ProtoInfo, Protocol, SctpState, TcpState};

/// How many flows a mirror holds, by family, protocol and state.
///
/// Free to read, whatever the size of the table; under change, each number is of its own moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Counts {
    /// All of them.
    pub flows: usize,
    /// Those of IPv4.
    pub ipv4: usize,
    /// Those of IPv6.
    pub ipv6: usize,
    /// By protocol, in the order of the numbers, without those that have none.
    pub protocols: Vec<(Protocol, usize)>,
    /// TCP flows by state, without states that none is in.
    pub tcp: Vec<(TcpState, usize)>,
    /// SCTP flows by state, without states that none is in.
    pub sctp: Vec<(SctpState, usize)>,
    /// DCCP flows by state, without states that none is in.
    pub dccp: Vec<(DccpState, usize)>,
}

/// The numbers as the writer keeps them.
#[derive(Debug)]
pub(super) struct Tally {
    flows: AtomicUsize,
    ipv4: AtomicUsize,
    protocols: Box<[AtomicUsize; 256]>,
    tcp: [AtomicUsize; STATES],
    sctp: [AtomicUsize; STATES],
    dccp: [AtomicUsize; STATES],
}

/// More than any protocol has; what is beyond is not counted by state.
const STATES: usize = 32;

impl Default for Tally {
    fn default() -> Self {
        let zeros = || std::array::from_fn(|_| AtomicUsize::new(0));
        Self {
            flows: AtomicUsize::new(0),
            ipv4: AtomicUsize::new(0),
            protocols: Box::new(std::array::from_fn(|_| AtomicUsize::new(0))),
            tcp: zeros(),
            sctp: zeros(),
            dccp: zeros(),
        }
    }
}

impl Tally {
    pub(super) fn len(&self) -> usize {
        self.flows.load(Relaxed)
    }

    // There is one writer: to add needs no locked bus.

    pub(super) fn add(&self, flow: &Flow) {
        self.each(flow, |number| {
            number.store(number.load(Relaxed) + 1, Relaxed)
        });
    }

    pub(super) fn sub(&self, flow: &Flow) {
        self.each(flow, |number| {
            number.store(number.load(Relaxed) - 1, Relaxed)
        });
    }

    /// Do the two, of one original tuple, go into the same numbers?
    pub(super) fn counts_as_one(one: &Flow, two: &Flow) -> bool {
        state(one) == state(two)
    }

    fn each(&self, flow: &Flow, mut change: impl FnMut(&AtomicUsize)) {
        change(&self.flows);
        if flow.family() == Family::Ipv4 {
            change(&self.ipv4);
        }
        change(&self.protocols[usize::from(u8::from(flow.orig.protocol()))]);
        let number = match state(flow) {
            Some((Protocol::TCP, state)) => self.tcp.get(usize::from(state)),
            Some((Protocol::SCTP, state)) => self.sctp.get(usize::from(state)),
            Some((_, state)) => self.dccp.get(usize::from(state)),
            None => None,
        };
        if let Some(number) = number {
            change(number);
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let (flows, ipv4) = (self.len(), self.ipv4.load(Relaxed));
        Counts {
            flows,
            ipv4,
            ipv6: flows.saturating_sub(ipv4),
            protocols: some(&self.protocols[..]),
            tcp: some(&self.tcp),
            sctp: some(&self.sctp),
            dccp: some(&self.dccp),
        }
    }
}

fn state(flow: &Flow) -> Option<(Protocol, u8)> {
    match &flow.protoinfo {
        Some(ProtoInfo::Tcp(info)) => Some((Protocol::TCP, info.state.into())),
        Some(ProtoInfo::Sctp(info)) => Some((Protocol::SCTP, info.state.into())),
        Some(ProtoInfo::Dccp(info)) => Some((Protocol::DCCP, info.state.into())),
        _ => None,
    }
}

/// Those that are not 0, under what their places stand for.
fn some<T: From<u8>>(numbers: &[AtomicUsize]) -> Vec<(T, usize)> {
    (0..=u8::MAX)
        .zip(numbers)
        .map(|(of, number)| (T::from(of), number.load(Relaxed)))
        .filter(|(_, number)| *number > 0)
        .collect()
}
