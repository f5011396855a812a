//! Prints lines to a reader that may be gone: `conntrack -L | head`.

use std::fmt::Display;
use std::io::{self, Write, stderr, stdout};

pub(crate) fn out(text: impl Display) -> io::Result<()> {
    writeln!(stdout(), "{text}")
}

pub(crate) fn err(text: impl Display) {
    _ = writeln!(stderr(), "{text}");
}
