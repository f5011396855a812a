//! NAT of an expected flow.

use crate::flow::{Direction, Tuple};
use crate::wire::attr::Value;

attributes! {
    /// How an expected flow is translated when it begins. `CTA_EXPECT_NAT` (Linux 3.3).
    ///
    /// The helper's [function](field@crate::Expectation::function) decides how it is used.
    #[non_exhaustive]
    pub struct ExpectationNat {
        /// The direction of the master that the expected flow has. `CTA_EXPECT_NAT_DIR`.
        CTA_EXPECT_NAT_DIR => direction: Direction,
        /// The address and port before the helper changed them, as the source; the destination
        /// is zeros. `CTA_EXPECT_NAT_TUPLE`.
        CTA_EXPECT_NAT_TUPLE => tuple: Tuple,
    }
}

impl ExpectationNat {
    /// The kernel takes only the source of the tuple.
    pub fn new(direction: Direction, tuple: Tuple) -> Self {
        Self { direction, tuple }
    }
}

plain!(Direction: Direction::Orig);

/// 0 is the original direction; any other number is not.
impl Value for Direction {
    fn read(payload: &[u8]) -> Option<Self> {
        Some(match u32::read(payload)? {
            0 => Self::Orig,
            _ => Self::Reply,
        })
    }
    fn write(&self, out: &mut Vec<u8>) {
        let number: u32 = match self {
            Self::Orig => 0,
            Self::Reply => 1,
        };
        number.write(out);
    }
}
