//! The line that conntrack(8) prints for an expectation.

use std::fmt;

use super::nouns::{tuple, words};
use crate::expectation::{Expectation, ExpectationFlags, ExpectationId, TupleMask};

/// The line of `conntrack -L expect` (1.4.7); `-o extended,id` changes nothing there, nor does
/// `{:#}` here.
impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(timeout) = self.timeout {
            write!(f, "{} ", timeout.as_secs())?;
        }
        write!(
            f,
            "proto={} {} {}",
            self.tuple.protocol(),
            self.tuple,
            self.mask
        )?;
        f.write_str(" ")?;
        tuple(f, "master-", &self.master)?;
        if !self.flags.is_empty() {
            write!(f, " {}", self.flags)?;
        }
        write!(f, " class={}", self.class)?;
        match &self.helper {
            Some(helper) => write!(f, " helper={helper}"),
            None => Ok(()),
        }
    }
}

/// `mask-src=255.255.255.255 mask-dst=255.255.255.255 sport=0 dport=65535`.
impl fmt::Display for TupleMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tuple(f, "mask-", self.as_tuple())
    }
}

/// The kernel's words, `PERMANENT,INACTIVE`; bits without a name as one number, no bit as nothing.
impl fmt::Display for ExpectationFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        words(f, self.iter_names(), |rest: Self| rest.bits())
    }
}

/// The number that the kernel's four bytes make.
impl fmt::Display for ExpectationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        u32::from(*self).fmt(f)
    }
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;
    use crate::wire::golden::reply;

    #[test]
    fn lines_read_as_those_of_conntrack() {
        for (name, line) in [
            (
                "expect_ftp",
                "299 proto=6 src=10.0.0.2 dst=10.0.0.1 sport=0 dport=10000 \
                 mask-src=255.255.255.255 mask-dst=255.255.255.255 sport=0 dport=65535 \
                 master-src=10.0.0.1 master-dst=10.0.0.2 sport=1000 dport=21 class=0 helper=ftp",
            ),
            (
                "expect_nat",
                "179 proto=17 src=10.0.0.2 dst=10.0.0.3 sport=5 dport=10001 \
                 mask-src=255.255.255.0 mask-dst=255.255.255.255 sport=65535 dport=65535 \
                 master-src=10.0.0.3 master-dst=10.0.0.2 sport=1000 dport=5060 \
                 PERMANENT,INACTIVE class=1 helper=sip",
            ),
            (
                "expect_generic",
                "179 proto=89 src=10.0.0.2 dst=10.0.0.4 \
                 mask-src=255.255.255.255 mask-dst=255.255.255.255 \
                 master-src=10.0.0.7 master-dst=10.0.0.2 sport=1000 dport=5060 class=2 helper=sip",
            ),
            (
                "expect_gre",
                "179 proto=47 src=10.0.0.2 dst=10.0.0.4 srckey=0x0 dstkey=0x5 \
                 mask-src=255.255.255.255 mask-dst=255.255.255.255 srckey=0x0 dstkey=0xffff \
                 master-src=10.0.0.8 master-dst=10.0.0.2 sport=1000 dport=5060 class=2 helper=sip",
            ),
        ] {
            let expectation = Expectation::from_message(&reply(name)).unwrap();
            assert_eq!(expectation.to_string(), line);
            assert_eq!(format!("{expectation:#}"), line);
        }
        let mut expectation = Expectation::from_message(&reply("expect_ftp")).unwrap();
        (expectation.timeout, expectation.helper) = (None, None);
        expectation.flags = ExpectationFlags::from_bits_retain(0x14);
        let line = expectation.to_string();
        assert!(line.starts_with("proto=6 "), "{line}");
        assert!(line.ends_with(" dport=21 USERSPACE,0x10 class=0"), "{line}");
    }
}
