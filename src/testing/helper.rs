//! Helpers: which flows may have which, and how many flows each expects.

use super::entry::Entry;
use crate::wire::uapi::*;

/// A helper of the kernel's (`nf_conntrack_helper`).
#[derive(Debug, Clone, Copy)]
pub(super) struct Helper {
    pub(super) name: &'static str,
    protocol: u8,
    families: &'static [u8],
    /// Of each class: how many expectations a flow has at most, and for how many seconds
    /// (`nf_conntrack_expect_policy`).
    pub(super) policies: &'static [(usize, u64)],
}

const BOTH: &[u8] = &[AF_INET, AF_INET6];
const ONE: &[(usize, u64)] = &[(1, 300)];
/// Of signalling, audio, video and images.
const SIP: &[(usize, u64)] = &[(1, 180), (4, 180), (4, 180), (4, 180)];

impl Helper {
    /// Those that a kernel of most distributions has.
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

    /// Is it the one of this name, family and protocol?
    pub(super) fn has(&self, name: &[u8], family: u16, protocol: u8) -> bool {
        self.name.as_bytes() == name
            && self.protocol == protocol
            && self.families.iter().any(|own| u16::from(*own) == family)
    }

    /// Is it the one of this name, for flows like this?
    pub(super) fn is(&self, name: &[u8], flow: &Entry) -> bool {
        self.has(name, flow.family().into(), flow.protocol())
    }
}
