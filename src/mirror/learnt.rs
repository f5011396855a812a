//! What the kernel reports about flows, as far as flows have shown it.

use crate::flow::{Flow, Protocol, SynProxy};

/// Which optional fields this kernel reports.
#[derive(Debug, Default)]
pub(super) struct Learnt {
    /// Was a complete flow seen?
    pub(super) is_known: bool,
    /// Was one seen that began while the mirror listened?
    pub(super) is_recent: bool,
    marks: bool,
    timestamps: bool,
    /// Does a rule send connections through SYNPROXY?
    synproxies: bool,
}

impl Learnt {
    /// The mark of a flow whose event contains none.
    pub(super) fn no_mark(&self) -> Option<u32> {
        self.marks.then_some(0)
    }

    /// Learns from an event: if it has a mark, the kernel has marks.
    pub(super) fn learn_of_event(&mut self, flow: &Flow) {
        self.marks |= flow.mark.is_some();
    }

    /// Learns from the event of an end. Returns whether there is more to know about other flows.
    pub(super) fn learn_of_end(&mut self, flow: &Flow) -> bool {
        let before = self.timestamps;
        self.timestamps |= flow.timestamp().is_some();
        before != self.timestamps
    }

    /// Learns from a flow of a list or lookup, which has all fields. Returns whether there is more
    /// to know about earlier flows too.
    pub(super) fn learn(&mut self, flow: &Flow) -> bool {
        let before = (self.timestamps, self.synproxies);
        self.is_known = true;
        self.marks |= flow.mark.is_some();
        self.timestamps |= flow.timestamp().is_some();
        // Flows that a program has created have one too, with zeros.
        let synproxy = flow.synproxy.unwrap_or_default();
        self.synproxies |= synproxy != SynProxy::default();
        before != (self.timestamps, self.synproxies)
    }

    /// Would a lookup return more about this flow than its `New` event does?
    pub(super) fn lacks(&self, flow: &Flow) -> bool {
        flow.mark.is_none() && !self.marks && !self.is_known
            || self.timestamps && flow.timestamp().is_none()
            || self.synproxies && flow.synproxy.is_none() && flow.orig.protocol() == Protocol::TCP
    }
}
