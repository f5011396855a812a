//! Why the program ends without success; the exit code is always 1.

use std::io::Write;
use std::process::ExitCode;

use ctnetlink::Error;

/// What stands before each message.
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

    /// A further line.
    pub(crate) fn and(mut self, text: impl Into<String>) -> Self {
        self.lines.push(text.into());
        self
    }

    /// Parameters are missing: these are what there is to be.
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
            // Nobody may read it.
            _ = writeln!(stderr, "{line}");
        }
        ExitCode::FAILURE
    }
}

/// What the library refuses by itself, the kernel would refuse.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::errno(error.errno().unwrap_or(EINVAL))
    }
}

/// Nobody reads the output any more.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error)
    }
}
