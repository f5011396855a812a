//! The failures of the program: the message and the exit code.

use std::process::ExitCode;

use super::say;
use ctnetlink::{Error, ErrorKind};

/// The prefix of each message.
pub(crate) const PREFIX: &str = "conntrack v1.4.7 (conntrack-tools): ";

const EINVAL: i32 = 22;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A bad command line: exit code 2, and a hint at the help.
    Usage(String),
    /// A request that failed: exit code 1.
    Failed(String),
    /// There was nothing to do: exit code 1, and no message.
    Nothing,
}

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    /// The kernel would refuse a request that the crate cannot build.
    pub(crate) fn invalid(_: Error) -> Self {
        Self::errno(EINVAL)
    }

    pub(crate) fn errno(errno: i32) -> Self {
        let text = std::io::Error::from_raw_os_error(errno).to_string();
        let text = text.split(" (os error").next().unwrap_or_default();
        Self::operation(match errno {
            EINVAL => "invalid parameters",
            _ => text,
        })
    }

    pub(crate) fn operation(text: &str) -> Self {
        Self::Failed(format!("Operation failed: {text}"))
    }

    /// Prints the message, and returns the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Self::Usage(text) => {
                say::err(format_args!("{PREFIX}{text}"));
                say::err("Try `conntrack -h' or 'conntrack --help' for more information.");
                ExitCode::from(2)
            }
            Self::Failed(text) => {
                say::err(format_args!("{PREFIX}{text}"));
                ExitCode::from(1)
            }
            Self::Nothing => ExitCode::from(1),
        }
    }
}

/// The words of conntrack(8) for the error of a request on one flow.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::AlreadyExists => Self::operation("Such conntrack exists, try -U to update"),
            ErrorKind::NotFound => Self::operation("such conntrack doesn't exist"),
            ErrorKind::PermissionDenied => Self::operation(
                "sorry, you must be root or get CAP_NET_ADMIN capability to do this",
            ),
            ErrorKind::TableFull => Self::operation("not enough memory"),
            ErrorKind::InvalidInput => Self::invalid(error),
            _ => match error.errno() {
                Some(errno) => Self::errno(errno),
                None => Self::operation(&error.to_string()),
            },
        }
    }
}

/// The same for an expectation, where conntrack(8) prints the plain text of the errno.
pub(crate) fn of_expectation(error: Error) -> Failure {
    match (error.kind(), error.errno()) {
        (ErrorKind::NotFound, _) => Failure::errno(2),
        (ErrorKind::AlreadyExists, _) => Failure::errno(17),
        (ErrorKind::InvalidInput | ErrorKind::PermissionDenied, _) | (_, None) => error.into(),
        (_, Some(errno)) => Failure::errno(errno),
    }
}
