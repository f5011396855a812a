//! Writes and reads a value with its mask, `0x10/0xf0`.

use std::fmt;
use std::str::FromStr;

use super::read::number;
use crate::error::{Error, Result};
use crate::flow::{Bits, Labels, Masked, Status};

/// The value or the mask, as text.
trait Part: Bits {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
    fn read(text: &str) -> Result<Self>;
}

impl Part for u32 {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#x}")
    }

    fn read(text: &str) -> Result<Self> {
        number(text).ok_or_else(|| {
            Error::invalid_input(format!(
                "{text:?} is not a mark: write 16, 0x10 or 0x10/0xf0"
            ))
        })
    }
}

impl Part for Status {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }

    fn read(text: &str) -> Result<Self> {
        text.parse()
    }
}

impl Part for Labels {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }

    fn read(text: &str) -> Result<Self> {
        let inner = text.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
        inner.unwrap_or(text).parse()
    }
}

/// Implements both for one type, because a bound `T: Part` would make the trait visible.
macro_rules! masked {
    ($($(#[$meta:meta])* $ty:ty;)+) => {
        $(
            $(#[$meta])*
            impl fmt::Display for Masked<$ty> {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.given().show(f)?;
                    if self.mask() == <$ty as Bits>::ALL {
                        return Ok(());
                    }
                    f.write_str("/")?;
                    self.mask().show(f)
                }
            }

            /// Reads value and mask, as `Display` writes them. A value alone has a mask of all
            /// bits.
            impl FromStr for Masked<$ty> {
                type Err = Error;

                fn from_str(text: &str) -> Result<Self> {
                    match text.split_once('/') {
                        Some((value, mask)) => Ok(Self::new(Part::read(value)?, Part::read(mask)?)),
                        None => <$ty as Part>::read(text).map(Self::from),
                    }
                }
            }
        )+
    };
}

masked! {
    /// Writes `0x10/0xf0`, or `0x10` if all bits count.
    u32;
    /// Writes `ASSURED/SEEN_REPLY,ASSURED`, or `ASSURED` if all bits count.
    Status;
    /// Writes `{3}/{3,4}`, or `{3}` if all labels count.
    Labels;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both<T: Bits>(value: impl Into<Masked<T>>, text: &str)
    where
        Masked<T>: fmt::Display + FromStr<Err = Error> + fmt::Debug,
    {
        let value = value.into();
        assert_eq!(value.to_string(), text);
        assert_eq!(text.parse::<Masked<T>>().unwrap(), value, "{text}");
    }

    #[test]
    fn a_mask_is_part_of_the_text() {
        both(Masked::new(0x10_u32, 0xf0), "0x10/0xf0");
        // Bits outside the mask are shown too, because a filter refuses them.
        both(Masked::new(0x11_u32, 0xf0), "0x11/0xf0");
        both(16_u32, "0x10");
        both(
            Masked::new(Status::empty(), Status::ASSURED),
            "UNSET/ASSURED",
        );
        both(Status::ASSURED | Status::SEEN_REPLY, "SEEN_REPLY,ASSURED");
        let bit = |n| Labels::bit(n).unwrap();
        both(Masked::new(bit(3), bit(3) | bit(4)), "{3}/{3,4}");
        both(Masked::new(Labels::EMPTY, bit(4)), "{}/{4}");
        both(bit(3), "{3}");
        assert_eq!(
            "16/0xf0".parse::<Masked<u32>>().unwrap(),
            Masked::new(16, 0xf0)
        );
        assert_eq!(
            "3/3,4".parse::<Masked<Labels>>().unwrap(),
            Masked::new(bit(3), bit(3) | bit(4))
        );
    }

    #[test]
    fn what_is_no_mask_is_refused() {
        for text in [
            "",
            "/",
            "1/",
            "/1",
            "1/2/3",
            "0x",
            "+1",
            "0x1_0",
            "4294967296",
            "ten",
        ] {
            assert!(text.parse::<Masked<u32>>().is_err(), "{text}");
        }
        assert!("ASURED".parse::<Masked<Status>>().is_err());
        assert!("{128}".parse::<Masked<Labels>>().is_err());
    }
}
