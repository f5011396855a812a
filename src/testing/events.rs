//! Events: to the listeners of a group, and to the one who asked for an echo.

use super::entry::{Changed, Entry, Kind};
use super::faults::EventFault;
use super::machine::{Machine, netfilter};
use crate::wire::uapi::*;

const NEW: u32 = 1;
const UPDATE: u32 = 2;
const DESTROY: u32 = 3;
pub(super) const EXPECT_NEW: u32 = 4;
pub(super) const EXPECT_DESTROY: u32 = 6;
pub(super) const IS_NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;

impl Machine {
    /// Tells what has become of a flow; `cause` is the port of who did it, 0 for packets and time.
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
        let (group, head) = match kind {
            Kind::New | Kind::Related => (NEW, (IPCTNL_MSG_CT_NEW, IS_NEW)),
            Kind::Update => (UPDATE, (IPCTNL_MSG_CT_NEW, 0)),
            Kind::Destroy => (DESTROY, (IPCTNL_MSG_CT_DELETE, 0)),
        };
        let now = self.now();
        let bytes = netfilter(head, (0, cause), (flow.family(), 0), |w| {
            flow.write_event(&self.release, now, (kind, changed), w);
        });
        self.multicast(group, bytes, cause, echo);
    }

    pub(super) fn multicast(&mut self, group: u32, bytes: Vec<u8>, cause: u32, echo: bool) {
        let listens =
            |port: u32, groups: u32| groups & (1 << (group - 1)) != 0 && !(echo && port == cause);
        let ports = self.ports.iter();
        let listeners = ports.filter(|(port, it)| listens(**port, it.groups));
        let mut hearers: Vec<u32> = listeners.map(|(port, _)| *port).collect();
        hearers.extend(echo.then_some(cause));
        if hearers.is_empty() {
            return;
        }
        let times = match self.faults.of_event() {
            Some(EventFault::Lost) => 0,
            Some(EventFault::Twice) => 2,
            None => 1,
        };
        for _ in 0..times {
            for hearer in &hearers {
                self.tell(*hearer, bytes.clone());
            }
        }
    }
}
