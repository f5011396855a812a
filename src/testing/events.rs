//! Sends events to the listeners of a group, and to a sender that asked for an echo.

use super::entry::{Changed, Entry, Kind};
use super::faults::EventFault;
use super::machine::{Machine, netfilter};
use super::port::Port;
use crate::wire::uapi::*;

const NEW: u32 = 1;
const UPDATE: u32 = 2;
const DESTROY: u32 = 3;
pub(super) const EXPECT_NEW: u32 = 4;
pub(super) const EXPECT_DESTROY: u32 = 6;
pub(super) const IS_NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;

impl Machine {
    /// Sends an event of a flow. `cause` is the port of the program that caused it, 0 for packets
    /// and timeouts.
    pub(super) fn event(
        &mut self,
        flow: &Entry,
        (kind, changed): (Kind, Changed),
        cause: u32,
        echo: bool,
    ) {
        if !flow.audible {
            return;
        }
        // It also contains the earlier events that could not be delivered.
        let (kind, changed) = match flow.missed {
            Some(missed) => (kind.with(missed.0), changed.or(missed.1)),
            None => (kind, changed),
        };
        let (group, head) = match kind {
            Kind::New | Kind::Related => (NEW, (IPCTNL_MSG_CT_NEW, IS_NEW)),
            Kind::Update => (UPDATE, (IPCTNL_MSG_CT_NEW, 0)),
            Kind::Destroy => (DESTROY, (IPCTNL_MSG_CT_DELETE, 0)),
        };
        let now = self.now();
        let bytes = netfilter(head, (0, cause), (flow.family(), 0), |w| {
            flow.write_event(&self.release, now, (kind, changed), w);
        });
        let failed = self.multicast(group, bytes, cause, echo);
        self.note(flow, failed.then_some((kind, changed)), cause);
    }

    /// Returns whether a reliable listener had no room, so that the event must be repeated.
    pub(super) fn multicast(
        &mut self,
        group: u32,
        mut bytes: Vec<u8>,
        cause: u32,
        echo: bool,
    ) -> bool {
        let listens =
            |port: u32, groups: u32| groups & (1 << (group - 1)) != 0 && !(echo && port == cause);
        let ports = self.ports.iter();
        let listeners = ports.filter(|(port, it)| listens(**port, it.groups));
        let mut hearers: Vec<u32> = listeners.map(|(port, _)| *port).collect();
        hearers.extend(echo.then_some(cause));
        if hearers.is_empty() {
            return false;
        }
        let mut times = 1;
        match self.faults.of_event() {
            Some(EventFault::Lost) => return false,
            Some(EventFault::Twice) => times = 2,
            Some(EventFault::CutTo(len)) => bytes.truncate(len),
            Some(EventFault::NoMemory) => {
                for hearer in hearers {
                    self.ports.get_mut(&hearer).into_iter().for_each(Port::lose);
                }
                return false;
            }
            Some(EventFault::Unmade) => {
                let mut failed = false;
                for hearer in hearers {
                    let port = self.ports.get_mut(&hearer);
                    failed |= port.is_some_and(|port| !port.fail());
                }
                return failed;
            }
            None => {}
        }
        let mut failed = false;
        for hearer in std::iter::repeat_n(hearers, times).flatten() {
            failed |= self.tell(hearer, bytes.clone());
        }
        failed
    }
}
