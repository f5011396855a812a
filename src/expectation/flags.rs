//! The flags of expectations.

use bitflags::bitflags;

bitflags! {
    /// The flags of an expectation: `NF_CT_EXPECT_*`, `CTA_EXPECT_FLAGS`.
    ///
    /// Unknown bits are kept.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
    pub struct ExpectationFlags: u32 {
        /// It stays after a packet has matched it, and can match more packets.
        const PERMANENT = 1;
        /// Packets do not match it.
        const INACTIVE = 2;
        /// A helper in user space made it. A create cannot set it: the kernel drops the flag.
        const USERSPACE = 4;
        // A newer kernel's bits.
        const _ = !0;
    }
}

#[cfg(feature = "serde")]
flags!(ExpectationFlags: u32);

bits!(ExpectationFlags, u32);
plain!(ExpectationFlags = is_empty);
