//! The status of a flow.

use bitflags::bitflags;

bitflags! {
    /// The status bits of a flow: `IPS_*`, `CTA_STATUS`, `-u`.
    ///
    /// Bits that this version does not know are kept. An update can set
    /// [`SEEN_REPLY`](Self::SEEN_REPLY), [`ASSURED`](Self::ASSURED),
    /// [`FIXED_TIMEOUT`](Self::FIXED_TIMEOUT) and [`HELPER`](Self::HELPER), and clear none.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
    pub struct Status: u32 {
        /// The flow was expected by another, its master.
        const EXPECTED = 0x0001;
        /// Packets went both ways.
        const SEEN_REPLY = 0x0002;
        /// The flow is not removed early when the table is full.
        const ASSURED = 0x0004;
        /// The flow is in the table.
        const CONFIRMED = 0x0008;
        /// The source address or port is translated.
        const SRC_NAT = 0x0010;
        /// The destination address or port is translated.
        const DST_NAT = 0x0020;
        /// TCP sequence numbers are adjusted.
        const SEQ_ADJUST = 0x0040;
        /// Source translation has been decided.
        const SRC_NAT_DONE = 0x0080;
        /// Destination translation has been decided.
        const DST_NAT_DONE = 0x0100;
        /// The flow is being removed.
        const DYING = 0x0200;
        /// Packets do not refresh the timeout.
        const FIXED_TIMEOUT = 0x0400;
        /// A template, never in the table.
        const TEMPLATE = 0x0800;
        /// The flow lost a race between two UDP packets, and is found only by its reply tuple.
        const NAT_CLASH = 0x1000;
        /// The helper was set by a rule or a request.
        const HELPER = 0x2000;
        /// The flow is in a flow table: its packets bypass the network stack.
        const OFFLOAD = 0x4000;
        /// The flow is in the flow table of the hardware.
        const HW_OFFLOAD = 0x8000;
        // The bits of newer kernels.
        const _ = !0;
    }
}

bits!(Status, u32);
plain!(Status = is_empty);

impl Status {
    /// The bits that an update can set. The kernel refuses or ignores the others.
    pub(crate) const SETTABLE: Self = Self::SEEN_REPLY
        .union(Self::ASSURED)
        .union(Self::FIXED_TIMEOUT)
        .union(Self::HELPER);
}
