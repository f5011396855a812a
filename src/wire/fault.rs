//! The reason why bytes do not decode, and the place.

use std::fmt;

/// Why bytes from the kernel could not be decoded.
///
/// `Display` includes the place: `CTA_TUPLE_ORIG > CTA_TUPLE_IP > CTA_IP_V4_SRC is missing`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeError {
    /// The length of a message or attribute is more than the bytes around it, or less than its own
    /// header.
    Truncated,
    /// An attribute is too short for its type.
    TooShort,
    /// An attribute is longer than any that the kernel sends.
    TooLong,
    /// A required attribute is missing.
    Missing,
    /// The two addresses of a tuple are not of one family.
    MixedFamilies,
    /// The message is not about a flow.
    NoFlow {
        /// The netlink type of the message.
        kind: u16,
    },
    /// The message is not about an expectation.
    NoExpectation {
        /// The netlink type of the message.
        kind: u16,
    },
    /// The message is not an event.
    NoEvent {
        /// The netlink type of the message.
        kind: u16,
    },
    /// The fault is in this attribute, or in an attribute inside it.
    Attribute {
        /// The kernel's name of the attribute.
        name: &'static str,
        /// The fault in it.
        cause: Box<Self>,
    },
}

impl DecodeError {
    /// The fault without the place.
    pub fn cause(&self) -> &Self {
        match self {
            Self::Attribute { cause, .. } => cause.cause(),
            cause => cause,
        }
    }

    /// The kernel's names of the attributes around the fault, the outermost first.
    pub fn path(&self) -> impl Iterator<Item = &'static str> + '_ {
        let mut rest = self;
        std::iter::from_fn(move || match rest {
            Self::Attribute { name, cause } => {
                rest = cause;
                Some(*name)
            }
            _ => None,
        })
    }

    /// Adds the attribute around the fault.
    #[cold]
    pub(crate) fn inside(self, name: &'static str) -> Self {
        Self::Attribute {
            name,
            cause: self.into(),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for name in self.path() {
            write!(f, "{before}{name}")?;
            before = " > ";
        }
        match (self.cause(), before) {
            (Self::TooShort, _) => f.write_str(" is too short"),
            (Self::TooLong, _) => f.write_str(" is too long"),
            (Self::Missing, _) => f.write_str(" is missing"),
            (Self::Truncated, "") => f.write_str("a length runs past the end of the message"),
            (Self::Truncated, _) => f.write_str(": a length runs past its end"),
            (Self::MixedFamilies, "") => f.write_str("addresses of two families"),
            (Self::MixedFamilies, _) => f.write_str(": addresses of two families"),
            (Self::NoFlow { kind }, _) => write!(f, "a message of type {kind:#06x} has no flow"),
            (Self::NoExpectation { kind }, _) => {
                write!(f, "a message of type {kind:#06x} has no expectation")
            }
            (Self::NoEvent { kind }, _) => {
                write!(f, "a message of type {kind:#06x} is not an event")
            }
            // The cause is the innermost fault.
            (Self::Attribute { .. }, _) => Ok(()),
        }
    }
}

impl std::error::Error for DecodeError {}
