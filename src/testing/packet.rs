//! The visible effects of packets on flows.

use std::time::Duration;

use super::create::timeout;
use super::entry::*;
use super::machine::Machine;
use super::restore::key_of;
use crate::flow::FlowKey;
use crate::wire::uapi::*;

const SYN_SENT: u8 = 1;
const SYN_RECV: u8 = 2;
const ESTABLISHED: u8 = 3;
const COOKIE_WAIT: u8 = 2;
const DCCP_REQUEST: u8 = 1;

impl Machine {
    pub(super) fn packet(&mut self, key: &FlowKey, bytes: u64) {
        self.reap();
        // There are no packets with an invalid tuple.
        let Ok((tuple, zone)) = key_of(&self.release, key) else {
            return;
        };
        match self.table.find(&tuple, zone) {
            Some(number) => {
                let is_reply = self
                    .table
                    .get(number)
                    .is_some_and(|flow| flow.tuples[0] != tuple);
                self.refresh(number, is_reply, bytes);
            }
            None if self.count() >= u64::from(self.settings.max_flows) => {}
            None => {
                let mut flow = self.blank([tuple, tuple.inverse()], zone);
                flow.status = CONFIRMED;
                // SYNPROXY needs a rule.
                flow.synproxy = None;
                match &mut flow.proto {
                    Proto::Tcp { state, .. } => *state = SYN_SENT,
                    Proto::Sctp { state, .. } => *state = COOKIE_WAIT,
                    Proto::Dccp { state, .. } => *state = DCCP_REQUEST,
                    Proto::None => {}
                }
                flow.pass(self.clock, false, bytes);
                self.table.insert(flow.clone());
                let changed = Changed {
                    protoinfo: true,
                    ..Changed::default()
                };
                self.event(&flow, (Kind::New, changed), 0, false);
            }
        }
    }

    fn refresh(&mut self, number: u64, is_reply: bool, bytes: u64) {
        let clock = self.clock;
        let Some(flow) = self.table.get_mut(number) else {
            return;
        };
        let before = (flow.status, flow.proto.clone());
        let answered = flow.status & SEEN_REPLY != 0;
        let is_udp = flow.protocol() == IPPROTO_UDP;
        if is_reply {
            flow.status |= SEEN_REPLY;
        }
        match &mut flow.proto {
            Proto::Tcp { state, .. } if is_reply && *state == SYN_SENT => *state = SYN_RECV,
            Proto::Tcp { state, .. } if !is_reply && *state == SYN_RECV => {
                *state = ESTABLISHED;
                flow.status |= ASSURED;
            }
            Proto::None if answered && !is_reply && is_udp => {
                flow.status |= ASSURED;
            }
            _ => {}
        }
        flow.pass(clock, is_reply, bytes);
        let protoinfo = before.1 != flow.proto;
        if before.0 != flow.status || protoinfo {
            let flow = flow.clone();
            let changed = Changed {
                protoinfo,
                ..Changed::default()
            };
            self.event(&flow, (Kind::Update, changed), 0, false);
        }
    }
}

impl Entry {
    /// Counts a packet, and refreshes the timeout of the flow.
    fn pass(&mut self, clock: Duration, is_reply: bool, bytes: u64) {
        if let Some(counters) = &mut self.counters {
            let [packets, sum] = &mut counters[usize::from(is_reply)];
            *packets += 1;
            *sum += bytes;
        }
        if self.status & FIXED_TIMEOUT == 0 {
            self.expires = clock + timeout(self.default_timeout());
        }
    }

    /// The kernel's default timeouts.
    fn default_timeout(&self) -> u32 {
        let answered = self.status & SEEN_REPLY != 0;
        match (&self.proto, self.protocol()) {
            (
                Proto::Tcp {
                    state: SYN_SENT, ..
                },
                _,
            ) => 120,
            (
                Proto::Tcp {
                    state: SYN_RECV, ..
                },
                _,
            ) => 60,
            (Proto::Tcp { .. }, _) => 432_000,
            (Proto::Sctp { .. }, _) if answered => 210,
            (Proto::Sctp { .. }, _) => 3,
            (_, IPPROTO_UDP | IPPROTO_UDPLITE) if answered => 120,
            (_, IPPROTO_GRE) if answered => 180,
            (_, IPPROTO_UDP | IPPROTO_UDPLITE | IPPROTO_ICMP | IPPROTO_ICMPV6 | IPPROTO_GRE) => 30,
            _ => 600,
        }
    }
}
