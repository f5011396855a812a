//! The line that conntrack(8) prints for an event.

use std::fmt;
use std::time::UNIX_EPOCH;

use super::nouns::words;
use crate::event::{Event, EventKinds};

/// `{}` is the line of `conntrack -E` (1.4.7), `{:#}` that of `conntrack -E -o
/// extended,id,timestamp,userspace`, both without `progname=`. conntrack(8) has no line for lost
/// events; here it is `[OVERRUN] lost=N`.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(time) = self.time().filter(|_| f.alternate()) {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            write!(f, "[{}.{:06}]\t", since.as_secs(), since.subsec_micros())?;
        }
        let word = match self {
            Self::New { .. } | Self::ExpectNew { .. } => "[NEW]",
            Self::Update { .. } => "[UPDATE]",
            Self::Destroy { .. } | Self::ExpectDestroy { .. } => "[DESTROY]",
            Self::Overrun { lost } => return write!(f, "[OVERRUN] lost={lost}"),
        };
        write!(f, "{word:>9} ")?;
        if let Some(flow) = self.flow() {
            flow.fmt(f)?;
        }
        if let Some(expectation) = self.expectation() {
            // conntrack(8) prints no program here.
            return expectation.fmt(f);
        }
        match self.port_id() {
            Some(port) => write!(f, " [USERSPACE] portid={port}"),
            None => Ok(()),
        }
    }
}

/// Writes the names, `NEW,UPDATE`. Unknown bits are one number, and an empty set is an empty text.
impl fmt::Display for EventKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        words(f, self.iter_names(), |rest: Self| rest.bits())
    }
}
