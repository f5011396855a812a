//! Helpers: their flows, and how many flows each may expect.

use super::entry::Entry;
use crate::wire::uapi::*;

/// A helper of the kernel (`nf_conntrack_helper`).
#[derive(Debug, Clone, Copy)]
pub(super) struct Helper {
    pub(super) name: &'static str,
    protocol: u8,
    families: &'static [u8],
    /// For each class, the maximum number of expectations of a flow, and their timeout in seconds
    /// (`nf_conntrack_expect_policy`).
    pub(super) policies: &'static [(usize, u64)],
}

const BOTH: &[u8] = &[AF_INET, AF_INET6];
const ONE: &[(usize, u64)] = &[(1, 300)];
/// The classes are signalling, audio, video and images.
const SIP: &[(usize, u64)] = &[(1, 180), (4, 180), (4, 180), (4, 180)];

impl Helper {
    /// The helpers in the kernels of most distributions.
    pub(super) const KNOWN: [Self; 6] = [
        Self::new("ftp", IPPROTO_TCP, BOTH, ONE),
        Self::new("sip", IPPROTO_UDP, BOTH, SIP),
        Self::new("sip", IPPROTO_TCP, BOTH, SIP),
        Self::new("tftp", IPPROTO_UDP, BOTH, ONE),
        Self::new("irc", IPPROTO_TCP, &[AF_INET], &[(8, 300)]),
        Self::new("pptp", IPPROTO_TCP, &[AF_INET], &[(2, 300)]),
    ];

    const fn new(
        name: &'static str,
        protocol: u8,
        families: &'static [u8],
        policies: &'static [(usize, u64)],
    ) -> Self {
        Self {
            name,
            protocol,
            families,
            policies,
        }
    }

    /// Does it have this name, family and protocol?
    pub(super) fn has(&self, name: &[u8], family: u16, protocol: u8) -> bool {
        self.name.as_bytes() == name
            && self.protocol == protocol
            && self.families.iter().any(|own| u16::from(*own) == family)
    }

    /// Does it have this name, and is it for flows like this one?
    pub(super) fn is(&self, name: &[u8], flow: &Entry) -> bool {
        self.has(name, flow.family().into(), flow.protocol())
    }
}
