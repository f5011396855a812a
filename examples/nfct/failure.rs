//! The failures of the program. The exit code is always 1.

use std::io::Write;
use std::process::ExitCode;

use ctnetlink::Error;

/// The prefix of each message.
pub(crate) const PREFIX: &str = "nfct v1.4.7: ";

const EINVAL: i32 = 22;

#[derive(Debug)]
pub(crate) struct Failure {
    lines: Vec<String>,
}

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub(crate) fn new(text: impl std::fmt::Display) -> Self {
        Self::bare(format!("{PREFIX}{text}"))
    }

    /// Without the program's name.
    pub(crate) fn bare(text: impl Into<String>) -> Self {
        Self {
            lines: vec![text.into()],
        }
    }

    /// A second line.
    pub(crate) fn and(mut self, text: impl Into<String>) -> Self {
        self.lines.push(text.into());
        self
    }

    /// Parameters are missing: the expected parameters.
    pub(crate) fn parameters(syntax: &str) -> Self {
        Self::new("missing parameters").and(format!("syntax: nfct {syntax}"))
    }

    pub(crate) fn too_many() -> Self {
        Self::new("too many arguments")
    }

    pub(crate) fn errno(errno: i32) -> Self {
        let text = std::io::Error::from_raw_os_error(errno).to_string();
        let text = text.split(" (os error").next().unwrap_or_default();
        Self::new(format!("netlink error: {text}"))
    }

    pub(crate) fn report(&self) -> ExitCode {
        let mut stderr = std::io::stderr().lock();
        for line in &self.lines {
            // The reader may be gone.
            _ = writeln!(stderr, "{line}");
        }
        ExitCode::FAILURE
    }
}

/// The kernel would refuse a request that the crate refuses.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::errno(error.errno().unwrap_or(EINVAL))
    }
}

/// The reader of the output is gone.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error)
    }
}
