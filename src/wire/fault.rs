//! Why bytes do not decode, and where.

use std::fmt;

/// Why bytes from the kernel could not be read as what they should be.
///
/// `Display` says where: `CTA_TUPLE_ORIG > CTA_TUPLE_IP > CTA_IP_V4_SRC is missing`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeError {
    /// A message or attribute says that it is longer than the bytes around it, or shorter than
    /// its own header.
    Truncated,
    /// An attribute is too short for its type.
    TooShort,
    /// An attribute is longer than the kernel makes it.
    TooLong,
    /// An attribute that must be there is not.
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
    /// The message is no event.
    NoEvent {
        /// The netlink type of the message.
        kind: u16,
    },
    /// What is wrong is this attribute, or something inside it.
    Attribute {
        /// The kernel's name of the attribute.
        name: &'static str,
        /// What is wrong with it.
        cause: Box<Self>,
    },
}

impl DecodeError {
    /// What is wrong, without where.
    pub fn cause(&self) -> &Self {
        match self {
            Self::Attribute { cause, .. } => cause.cause(),
            cause => cause,
        }
    }

    /// The attributes on the way to what is wrong, the outermost first, by the kernel's names.
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

    /// The error as one of the attribute around it.
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
            (Self::NoEvent { kind }, _) => write!(f, "a message of type {kind:#06x} is no event"),
            // The cause is what is inside of all of these.
            (Self::Attribute { .. }, _) => Ok(()),
        }
    }
}

impl std::error::Error for DecodeError {}
