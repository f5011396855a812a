//! The line that conntrack(8) prints for an expectation.

use std::fmt;

use super::line::Line;
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
            self.tuple.protocol().number(),
            self.tuple,
            self.mask
        )?;
        f.write_str(" ")?;
        Line::write(f, |line| tuple(line, "master-", &self.master))?;
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
        Line::write(f, |line| tuple(line, "mask-", self.as_tuple()))
    }
}

/// Writes the kernel's names, `PERMANENT,INACTIVE`. Bits without a name are one number, and an
/// empty set is an empty text.
impl fmt::Display for ExpectationFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        words(f, self.iter_names(), |rest: Self| rest.bits())
    }
}

/// Writes the four bytes of the kernel as a number.
impl fmt::Display for ExpectationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        u32::from(*self).fmt(f)
    }
}

#[cfg(all(test, target_endian = "little"))]
mod tests;
