//! The status of a flow.

use bitflags::bitflags;

bitflags! {
    /// What has happened to a flow, and what it is: `IPS_*`, `CTA_STATUS`, `-u`.
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
        /// The flow is not among the first to go when the table is full.
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
        /// Lost a race of two UDP packets; known by its reply tuple alone.
        const NAT_CLASH = 0x1000;
        /// The helper was set by a rule or a request.
        const HELPER = 0x2000;
        /// In a flow table: packets bypass the stack.
        const OFFLOAD = 0x4000;
        /// In the hardware's flow table.
        const HW_OFFLOAD = 0x8000;
        // A newer kernel's bits.
        const _ = !0;
    }
}

bits!(Status, u32);
plain!(Status = is_empty);

impl Status {
    /// What an update may set; the kernel refuses or ignores the rest.
    pub(crate) const SETTABLE: Self = Self::SEEN_REPLY
        .union(Self::ASSURED)
        .union(Self::FIXED_TIMEOUT)
        .union(Self::HELPER);
}
