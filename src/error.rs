//! Errors: what went wrong, and what to do about it.

use std::borrow::Cow;
use std::{error, fmt, io};

use crate::wire::attr::DecodeError;
use crate::wire::message::{ExtAck, Frame, Verdict};
use crate::wire::uapi;

/// The result of every verb.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request failed.
///
/// Use [`kind`](Self::kind) to decide what to do, and [`errno`](Self::errno) for the kernel's
/// answer. The text names the request, the answer and, if one is known, the cure. The text is
/// complete: it includes the error of a system call, and [`source`](std::error::Error::source) is
/// `None`. `Debug`, which a program prints when its `main` returns the error, is the text and the
/// kind. An `Error` has the size of one pointer.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    /// What was requested, in a user's words; empty if the detail is enough.
    asked: &'static str,
    detail: Cow<'static, str>,
    errno: Option<i32>,
    ext_ack: Option<ExtAck>,
    /// The error of a system call or of the decoder, which ends the text.
    cause: Option<Box<dyn error::Error + Send + Sync>>,
    /// Was a part of the change made before the part that failed?
    partial: bool,
    bytes: Option<Box<[u8]>>,
}

/// The kinds of failure that a program can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request is invalid, and was not sent.
    InvalidInput,
    /// The flow (for a create, its master) is not in the table.
    NotFound,
    /// The flow, or another that uses one of its tuples, is in the table already.
    AlreadyExists,
    /// The caller lacks `CAP_NET_ADMIN` over the namespace, or the flow does not allow the change.
    PermissionDenied,
    /// The kernel, or this flow, does not support the request.
    Unsupported,
    /// The change is not allowed in the flow's present state.
    Busy,
    /// The flow has no room for labels: no rule used labels when it was created.
    LabelsUnavailable,
    /// A create failed because the table is full or the kernel is out of memory. The kernel does
    /// not tell which.
    TableFull,
    /// No answer came in time; the request may have taken effect.
    Timeout,
    /// The connection is gone; a request in flight may have taken effect.
    Closed,
    /// Answers were lost because the socket's queue overflowed; the request may have taken
    /// effect.
    Overrun,
    /// A message of the kernel could not be decoded; [`Error::bytes`] has it.
    Decode,
    /// A system call failed.
    Io,
    /// The kernel refused with an errno that has no kind here.
    Kernel,
}

impl Error {
    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The errno of the kernel, or of a system call.
    pub fn errno(&self) -> Option<i32> {
        self.0.errno
    }

    /// The kernel's own message about the failure, if it sent one (Linux 4.12 or later, and only
    /// for malformed attributes).
    pub fn ext_ack(&self) -> Option<&str> {
        self.0.ext_ack.as_ref()?.message.as_deref()
    }

    /// The message that could not be decoded, from its netlink header on.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.0.bytes.as_deref()
    }

    /// The fault in a message that could not be decoded.
    pub fn decode_error(&self) -> Option<&DecodeError> {
        self.0.cause.as_ref()?.downcast_ref()
    }

    /// Returns `true` if a part of an update was made before the part that failed. The text says
    /// which.
    ///
    /// The kernel makes the changes of an update one after the other. If one fails, the changes
    /// before it stay. If the kernel does not tell which one failed, this is `false`.
    pub fn is_partial(&self) -> bool {
        self.0.partial
    }

    /// Returns `true` if the flow is gone, or was never there.
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    /// Returns `true` if the flow is in the table already.
    pub fn is_already_exists(&self) -> bool {
        self.kind() == ErrorKind::AlreadyExists
    }

    /// Returns `true` if the caller lacks the right.
    pub fn is_permission_denied(&self) -> bool {
        self.kind() == ErrorKind::PermissionDenied
    }

    /// Returns `true` if the answer did not come in time.
    pub fn is_timeout(&self) -> bool {
        self.kind() == ErrorKind::Timeout
    }

    /// Returns `true` if the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.kind() == ErrorKind::Closed
    }

    fn new(kind: ErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            asked: "",
            detail: detail.into(),
            errno: None,
            ext_ack: None,
            cause: None,
            partial: false,
            bytes: None,
        }))
    }

    pub(crate) fn invalid_input(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidInput, detail)
    }

    pub(crate) fn not_found() -> Self {
        Self::refused(Verdict::of(uapi::ENOENT))
    }

    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the connection is closed")
    }

    /// No answer, because the connection is not polled.
    pub(crate) fn unattended(timeout: std::time::Duration) -> Self {
        Self::new(
            ErrorKind::Timeout,
            format!(
                "not sent within {timeout:?}: the Connection is not being polled; spawn it, and see \
                 that nothing blocks its thread"
            ),
        )
    }

    pub(crate) fn timeout(after: std::time::Duration) -> Self {
        Self::new(
            ErrorKind::Timeout,
            format!("no answer within {after:?}; the change may have been made"),
        )
    }

    pub(crate) fn overrun() -> Self {
        let mut error = Self::new(
            ErrorKind::Overrun,
            "the answer was lost, as it is where the socket's receive queue is full; \
             the request may have taken effect",
        );
        error.0.errno = Some(uapi::ENOBUFS);
        error
    }

    /// A send that failed. Nothing has reached the kernel, so no answer can be lost.
    pub(crate) fn sending(cause: io::Error) -> Self {
        let mut error = Self::io("sending a request", cause);
        if error.kind() == ErrorKind::Overrun {
            error.0.kind = ErrorKind::Io;
        }
        error
    }

    /// A [send that failed](Self::sending), by its errno.
    pub(crate) fn unsent(errno: i32) -> Self {
        Self::sending(io::Error::from_raw_os_error(errno))
    }

    pub(crate) fn unanswered() -> Self {
        Self::new(
            ErrorKind::Kernel,
            "the kernel ended its answer without a result",
        )
    }

    pub(crate) fn decode(cause: DecodeError, bytes: &[u8]) -> Self {
        Self::undecoded(
            format!(
                "a message of {} bytes from the kernel does not decode",
                bytes.len()
            ),
            cause,
            bytes,
        )
    }

    /// Decodes the first message of these bytes.
    #[inline]
    pub(crate) fn reading<T>(
        message: &[u8],
        read: impl FnOnce(&Frame<'_>) -> Result<T, DecodeError>,
    ) -> Result<T> {
        let result = match Frame::first(message) {
            Some(frame) => frame.and_then(|frame| read(&frame)),
            None => Err(DecodeError::Truncated),
        };
        result.map_err(|cause| Self::decode(cause, message))
    }

    /// A flow that the message type of another crate cannot represent.
    #[cfg(feature = "netlink-packet")]
    pub(crate) fn unpacked(cause: netlink_packet_core::DecodeError, bytes: &[u8]) -> Self {
        Self::undecoded("the flow does not fit the message".into(), cause, bytes)
    }

    fn undecoded(
        detail: String,
        cause: impl error::Error + Send + Sync + 'static,
        bytes: &[u8],
    ) -> Self {
        let mut error = Self::new(ErrorKind::Decode, detail);
        error.0.cause = Some(Box::new(cause));
        error.0.bytes = Some(bytes.into());
        error
    }

    /// A failed system call; `doing` completes "while …".
    pub(crate) fn io(doing: impl Into<Cow<'static, str>>, cause: io::Error) -> Self {
        let kind = match cause.raw_os_error() {
            Some(uapi::EPERM | uapi::EACCES) => ErrorKind::PermissionDenied,
            Some(uapi::ENOBUFS) => ErrorKind::Overrun,
            _ => ErrorKind::Io,
        };
        let mut error = Self::new(kind, doing);
        error.0.errno = cause.raw_os_error();
        error.0.cause = Some(Box::new(cause));
        error
    }

    /// `Ok` for success, otherwise the kernel's refusal.
    pub(crate) fn check(verdict: Verdict) -> Result<()> {
        match verdict.errno {
            0 => Ok(()),
            _ => Err(Self::refused(verdict)),
        }
    }

    /// The meaning of the kernel's refusal, if no verb has a better one.
    pub(crate) fn refused(verdict: Verdict) -> Self {
        let (kind, detail) = match verdict.errno {
            uapi::EPERM => (
                ErrorKind::PermissionDenied,
                "CAP_NET_ADMIN is needed, in the user namespace that owns the network namespace, by \
                 the thread that polls the connection or walks the table",
            ),
            uapi::ENOENT => (ErrorKind::NotFound, "the flow is not in the table"),
            uapi::EEXIST => (ErrorKind::AlreadyExists, "the flow is in the table already"),
            uapi::EBUSY => (
                ErrorKind::Busy,
                "the flow's present state does not allow it",
            ),
            uapi::ENOSPC => (ErrorKind::Kernel, "no room left"),
            uapi::ENOMEM => (ErrorKind::Kernel, "the kernel is out of memory"),
            uapi::EOPNOTSUPP => (
                ErrorKind::Unsupported,
                "this kernel or this flow does not support it",
            ),
            uapi::ETIME => (ErrorKind::NotFound, "the flow is dying"),
            uapi::EINVAL | uapi::ERANGE => (
                ErrorKind::Kernel,
                "the kernel rejected the request as malformed",
            ),
            _ => (ErrorKind::Kernel, "the kernel refused"),
        };
        let mut error = Self::new(kind, detail);
        error.0.errno = Some(verdict.errno);
        error.0.ext_ack = verdict.ext_ack;
        error
    }

    /// Adds what was requested: "while marking a flow".
    pub(crate) fn context(mut self, asked: &'static str) -> Self {
        self.0.asked = asked;
        self
    }

    /// Replaces the meaning, if a verb knows what the errno means for it.
    pub(crate) fn meaning(mut self, kind: ErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.kind = kind;
        self.0.detail = detail.into();
        self
    }

    /// Adds which changes of an update were made before the one that failed.
    pub(crate) fn after(mut self, made: &[&str]) -> Self {
        if !made.is_empty() {
            self.0.partial = true;
            let made = made.join(", ");
            let detail = format!("{}; made before it, and kept: {made}", self.0.detail);
            self.0.detail = detail.into();
        }
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if !inner.asked.is_empty() {
            write!(f, "{}: ", inner.asked)?;
        }
        f.write_str(&inner.detail)?;
        if let (Some(errno), None) = (inner.errno, &inner.cause) {
            write!(f, " ({})", io::Error::from_raw_os_error(errno))?;
        }
        if let Some(words) = self.ext_ack() {
            write!(f, "; the kernel says: {words}")?;
        }
        if let Some(cause) = &inner.cause {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

/// The text, and the kind: `marking a flow: the flow is not in the table (…) [NotFound]`.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} [{:?}]", self.kind())
    }
}

impl error::Error for Error {}

/// For functions that return [`io::Result`]. The kind is the closest I/O error kind, and the error
/// itself is inside ([`io::Error::get_ref`]).
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let errno = || {
            error
                .errno()
                .map(|errno| Self::from_raw_os_error(errno).kind())
        };
        let kind = match error.kind() {
            ErrorKind::InvalidInput => io::ErrorKind::InvalidInput,
            ErrorKind::NotFound => io::ErrorKind::NotFound,
            ErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
            ErrorKind::PermissionDenied => io::ErrorKind::PermissionDenied,
            ErrorKind::Unsupported | ErrorKind::LabelsUnavailable => io::ErrorKind::Unsupported,
            ErrorKind::Busy => io::ErrorKind::ResourceBusy,
            ErrorKind::TableFull => io::ErrorKind::OutOfMemory,
            ErrorKind::Timeout => io::ErrorKind::TimedOut,
            ErrorKind::Closed => io::ErrorKind::NotConnected,
            ErrorKind::Decode => io::ErrorKind::InvalidData,
            ErrorKind::Overrun | ErrorKind::Io | ErrorKind::Kernel => {
                errno().unwrap_or(io::ErrorKind::Other)
            }
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests;
