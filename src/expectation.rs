//! Expectations: flows that a helper has announced, and that have not begun yet.

pub(crate) mod flags;
pub(crate) mod key;
pub(crate) mod mask;
pub(crate) mod nat;
pub(crate) mod new;

use std::time::Duration;

pub use flags::ExpectationFlags;
pub use key::ExpectationKey;
pub use mask::TupleMask;
pub use nat::ExpectationNat;
pub use new::NewExpectation;

use crate::error::{Error, Result};
use crate::flow::{Family, Tuple};
use crate::wire::attr::{DecodeError, Value};
use crate::wire::message::Frame;
use crate::wire::table::Context;
use crate::wire::uapi::{IPCTNL_MSG_EXP_DELETE, IPCTNL_MSG_EXP_NEW};

attributes! {
    /// A flow that another flow, its master, has announced: an FTP data connection, the media of a
    /// SIP call.
    ///
    /// A packet that matches it begins a flow with [`Status::EXPECTED`](crate::Status::EXPECTED)
    /// and the [master](crate::Flow::master). The expectation is then removed, unless it is
    /// [`PERMANENT`](ExpectationFlags::PERMANENT). An attribute that the kernel did not send is
    /// `None`. `Display` is the line that `conntrack -L expect` prints.
    #[non_exhaustive]
    pub struct Expectation {
        /// The expected packet. [`mask`](field@Self::mask) says which bits of its source count.
        /// `CTA_EXPECT_TUPLE`.
        CTA_EXPECT_TUPLE => tuple: Tuple,
        /// The bits of the tuple that count. `CTA_EXPECT_MASK`.
        CTA_EXPECT_MASK => mask: TupleMask,
        /// The original tuple of the flow that expects it. `CTA_EXPECT_MASTER`.
        CTA_EXPECT_MASTER => master: Tuple,
        /// How the expected flow will be translated. `CTA_EXPECT_NAT` (Linux 3.3).
        CTA_EXPECT_NAT => nat: Option<ExpectationNat>,
        /// The time left, in whole seconds. `CTA_EXPECT_TIMEOUT`.
        CTA_EXPECT_TIMEOUT => timeout: Option<Duration> as "crate::flow::text::seconds" = [default],
        /// The kernel's id. `CTA_EXPECT_ID`.
        CTA_EXPECT_ID => id: Option<ExpectationId>,
        /// Its flags. `CTA_EXPECT_FLAGS`.
        CTA_EXPECT_FLAGS => flags: ExpectationFlags = [default],
        /// The class among those of its helper, 0 to 3 (SIP: 0 is signalling, 1 is audio).
        /// `CTA_EXPECT_CLASS` (Linux 3.3).
        CTA_EXPECT_CLASS => class: u32,
        /// The helper of the master. `CTA_EXPECT_HELP_NAME`. `None` if the helper has been removed.
        CTA_EXPECT_HELP_NAME [max 15] => helper: Option<Box<str>>,
        /// The kernel function that is called when the expected flow begins, such as
        /// `nat-follow-master`. `CTA_EXPECT_FN` (Linux 3.3). `None` if there is none, or if it has
        /// no name.
        CTA_EXPECT_FN [max 255] => function: Option<Box<str>>,
        /// The zone of the master. `CTA_EXPECT_ZONE`. The kernel never sends it. It is set here if
        /// the request named it: in a list of one master, and in a get.
        CTA_EXPECT_ZONE => zone: Option<u16>,
    }
}

/// The kernel's id of an expectation: four bytes that mean nothing outside the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(from = "u32", into = "u32"))]
pub struct ExpectationId([u8; 4]);

impl Expectation {
    /// Creates a value with these tuples and nothing else, for tests of programs that use
    /// expectations. To create an expectation in the kernel, use a [`NewExpectation`].
    pub fn new(master: Tuple, tuple: Tuple, mask: TupleMask) -> Self {
        Self {
            tuple,
            mask,
            master,
            nat: None,
            timeout: None,
            id: None,
            flags: ExpectationFlags::empty(),
            class: 0,
            helper: None,
            function: None,
            zone: None,
        }
    }

    /// The family of the expected flow, and of its master.
    pub fn family(&self) -> Family {
        self.tuple.family()
    }

    /// Returns `true` if a packet with this tuple would match it. The zone is ignored.
    ///
    /// ```
    /// # use ctnetlink::{Expectation, Tuple};
    /// # fn expects(expectation: &Expectation) -> ctnetlink::Result<bool> {
    /// let (src, dst) = ("192.0.2.2:20".parse().unwrap(), "192.0.2.1:10000".parse().unwrap());
    /// Ok(expectation.expects(&Tuple::tcp(src, dst)?))
    /// # }
    /// ```
    pub fn expects(&self, tuple: &Tuple) -> bool {
        self.mask.equates(&self.tuple, tuple)
    }

    /// Decodes one message of the kernel, from its netlink header on. This is for programs that get
    /// the bytes from a capture, or from their own socket.
    ///
    /// # Errors
    ///
    /// [`Decode`](crate::ErrorKind::Decode) if the bytes are not an expectation; [`Error::bytes`]
    /// has them.
    pub fn from_message(message: &[u8]) -> Result<Self> {
        Error::reading(message, |frame| match frame.kind {
            IPCTNL_MSG_EXP_NEW | IPCTNL_MSG_EXP_DELETE => Self::decode(frame),
            kind => Err(DecodeError::NoExpectation { kind }),
        })
    }

    /// Decodes the expectation in a message.
    pub(crate) fn decode(frame: &Frame<'_>) -> Result<Self, DecodeError> {
        Self::read(frame.attributes()?, &mut Context::default())
    }
}

impl Value for ExpectationId {
    fn read(payload: &[u8]) -> Option<Self> {
        <[u8; 4]>::read(payload).map(Self)
    }
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }
}

impl From<ExpectationId> for u32 {
    fn from(id: ExpectationId) -> Self {
        Self::from_be_bytes(id.0)
    }
}

impl From<u32> for ExpectationId {
    fn from(id: u32) -> Self {
        Self(id.to_be_bytes())
    }
}

impl std::fmt::Debug for ExpectationId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", u32::from(*self))
    }
}

#[cfg(test)]
mod tests;
