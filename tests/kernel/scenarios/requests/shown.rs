//! A request, as a failed test shows it.

use std::fmt;

use super::super::bytes;
use super::Request;

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            flags,
            family,
            version,
            ..
        } = self;
        write!(
            f,
            "request {kind:04x} flags {flags:03x} family {family} version {version}"
        )?;
        if let Some((_, another)) = &self.by_id {
            let whose = if *another { "another's" } else { "its" };
            write!(f, ", by {whose} id")?;
        }
        if self.cut > 0 {
            write!(f, ", less {} bytes", self.cut)?;
        }
        bytes::each(&self.attrs.0, |kind, payload| {
            // Errors of writing are ignored.
            let _ = write!(f, "\n    {kind}: {payload:02x?}");
        });
        Ok(())
    }
}
