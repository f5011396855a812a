//! The number of flows of each kind, updated with every change.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::flow::{DccpState, Family, Flow, ProtoInfo, Protocol, SctpState, TcpState};

/// The number of flows in a mirror, by family, protocol and state.
///
/// Reading it is cheap, whatever the size of the table. While flows change, the numbers are not one
/// consistent snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Counts {
    /// All flows.
    pub flows: usize,
    /// IPv4 flows.
    pub ipv4: usize,
    /// IPv6 flows.
    pub ipv6: usize,
    /// Flows by protocol, in the order of the protocol numbers. Protocols without flows are left
    /// out.
    pub protocols: Vec<(Protocol, usize)>,
    /// TCP flows by state. States without flows are left out.
    pub tcp: Vec<(TcpState, usize)>,
    /// SCTP flows by state. States without flows are left out.
    pub sctp: Vec<(SctpState, usize)>,
    /// DCCP flows by state. States without flows are left out.
    pub dccp: Vec<(DccpState, usize)>,
}

/// The counters, which only the writer changes.
#[derive(Debug)]
pub(super) struct Tally {
    flows: AtomicUsize,
    ipv4: AtomicUsize,
    protocols: Box<[AtomicUsize; 256]>,
    tcp: [AtomicUsize; STATES],
    sctp: [AtomicUsize; STATES],
    dccp: [AtomicUsize; STATES],
}

/// More states than any protocol has. Flows in unknown, larger states are not counted by state.
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

    // There is only one writer, so a load and a store are enough.

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

    /// Do two versions of a flow, with the same original tuple, count in the same numbers?
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

/// The counters that are not 0, by what their index stands for.
fn some<T: From<u8>>(numbers: &[AtomicUsize]) -> Vec<(T, usize)> {
    (0..=u8::MAX)
        .zip(numbers)
        .map(|(of, number)| (T::from(of), number.load(Relaxed)))
        .filter(|(_, number)| *number > 0)
        .collect()
}
