//! What the kernel counts and notes about a flow: traffic, times, sequence adjustments.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};
use crate::wire::attr::Value;

attributes! {
    /// The traffic of a flow in one direction.
    ///
    /// `CTA_COUNTERS_ORIG`, `CTA_COUNTERS_REPLY`. The kernel counts for flows that began while
    /// `net.netfilter.nf_conntrack_acct` was 1 (default 0).
    #[derive(Copy, Default)]
    #[non_exhaustive]
    pub struct Counters {
        /// Packets.
        CTA_COUNTERS_PACKETS => packets: u64,
        /// Bytes, from the IP header on.
        CTA_COUNTERS_BYTES => bytes: u64,
    }
}

attributes! {
    /// When a flow began and ended.
    ///
    /// `-o timestamp` (as delta-time); `CTA_TIMESTAMP` (Linux 2.6.39). The kernel keeps it for
    /// flows that began while `net.netfilter.nf_conntrack_timestamp` was 1 (default 0).
    #[derive(Copy)]
    #[non_exhaustive]
    pub struct Timestamp {
        /// When the first packet was accepted, or the flow created; with nanoseconds.
        CTA_TIMESTAMP_START => start: SystemTime as "crate::flow::text::start",
        /// When the flow ended. Only destroy events have it.
        CTA_TIMESTAMP_STOP => stop: Option<SystemTime> as "crate::flow::text::stamp" = [default],
    }
}

attributes! {
    /// How the TCP sequence numbers of one direction are shifted, because a helper changed the
    /// length of a packet.
    ///
    /// `CTA_SEQ_ADJ_ORIG`, `CTA_SEQ_ADJ_REPLY`.
    #[derive(Copy, Default)]
    #[non_exhaustive]
    pub struct SeqAdj {
        /// The sequence number from which `offset_after` holds.
        CTA_SEQADJ_CORRECTION_POS => correction_pos: u32,
        /// The shift before that position.
        CTA_SEQADJ_OFFSET_BEFORE => offset_before: i32,
        /// The shift after it.
        CTA_SEQADJ_OFFSET_AFTER => offset_after: i32,
    }
}

attributes! {
    /// What the SYN proxy keeps of a flow.
    ///
    /// `CTA_SYNPROXY` (Linux 4.18). Flows made by a request have one of zeros.
    #[derive(Copy, Default)]
    #[non_exhaustive]
    pub struct SynProxy {
        /// The initial sequence number that the proxy chose.
        CTA_SYNPROXY_ISN => isn: u32,
        /// The initial TCP timestamp.
        CTA_SYNPROXY_ITS => its: u32,
        /// The offset of TCP timestamps.
        CTA_SYNPROXY_TSOFF => tsoff: u32,
    }
}

plain!(SystemTime: UNIX_EPOCH);

impl Counters {
    /// Counters with these values.
    pub const fn new(packets: u64, bytes: u64) -> Self {
        Self { packets, bytes }
    }
}

impl Timestamp {
    /// The times of a flow that began at `start` and has not ended.
    pub const fn new(start: SystemTime) -> Self {
        Self { start, stop: None }
    }

    /// Sets the time at which the flow ended.
    #[must_use]
    pub const fn ended(mut self, stop: SystemTime) -> Self {
        self.stop = Some(stop);
        self
    }
}

impl SeqAdj {
    /// A shift by `offset_before` up to the sequence number `correction_pos`, and by `offset_after`
    /// from there on.
    pub const fn new(correction_pos: u32, offset_before: i32, offset_after: i32) -> Self {
        Self {
            correction_pos,
            offset_before,
            offset_after,
        }
    }
}

impl SynProxy {
    /// The numbers in the order of the fields.
    pub const fn new(isn: u32, its: u32, tsoff: u32) -> Self {
        Self { isn, its, tsoff }
    }
}

/// Nanoseconds since 1970, in 64 bits.
impl Value for SystemTime {
    const LEN: usize = 8;
    fn read(payload: &[u8]) -> Option<Self> {
        u64::read(payload).map(|nanos| UNIX_EPOCH + Duration::from_nanos(nanos))
    }
    fn write(&self, out: &mut Vec<u8>) {
        let nanos = self
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        u64::try_from(nanos).unwrap_or(u64::MAX).write(out);
    }
}

/// Seconds, in 32 bits. A fraction is rounded up, so that no flow ends early.
impl Value for Duration {
    const LEN: usize = 4;
    #[inline]
    fn read(payload: &[u8]) -> Option<Self> {
        u32::read(payload).map(|seconds| Self::from_secs(seconds.into()))
    }
    fn write(&self, out: &mut Vec<u8>) {
        seconds(*self).unwrap_or(u32::MAX).write(out);
    }
}

/// The kernel converts some timeouts to jiffies in 32 bits, with at most 1000 jiffies per second. A
/// longer timeout would overflow to a shorter one.
pub(crate) const LONGEST: Duration = Duration::from_secs((u32::MAX / 1000) as u64);

/// Refuses a number of seconds that would overflow in the kernel. `what` names the part that has
/// it.
pub(crate) fn check_seconds(what: &str, timeout: Duration) -> Result<()> {
    match timeout > LONGEST {
        true => Err(Error::invalid_input(format!(
            "{what}: the maximum is {} s",
            LONGEST.as_secs()
        ))),
        false => Ok(()),
    }
}

/// The timeout in whole seconds, as it is on the wire. `None` if it does not fit.
pub(crate) fn seconds(timeout: Duration) -> Option<u32> {
    let fraction = u64::from(timeout.subsec_nanos() != 0);
    u32::try_from(timeout.as_secs().checked_add(fraction)?).ok()
}
