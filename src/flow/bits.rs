//! Sets of bits: a value with a mask, and the 128 labels.

use std::fmt;

use crate::error::{Error, Result};
use crate::wire::attr::Value;

/// A value and a mask of the bits that count.
///
/// A plain value converts into a `Masked` with all bits in the mask. A request writes only the bits
/// inside the mask. Bits of the value [outside](Self::excess) the mask are kept. A filter with such
/// bits could match nothing, so it is refused.
///
/// ```
/// # use ctnetlink::Masked;
/// assert_eq!(Masked::new(0xff, 0x0f).value(), 0x0f);
/// assert_eq!(Masked::new(0xff, 0x0f).excess(), 0xf0);
/// assert_eq!(Masked::from(5u32).mask(), u32::MAX);
/// assert_eq!(Masked::new(0x05, 0x0f).apply(0xf0), 0xf5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Masked<T> {
    /// The value as it was given.
    value: T,
    mask: T,
}

/// Types whose bits can be masked: `u32` marks, [`Labels`], [`Status`](crate::Status) and
/// [`TcpFlags`](crate::TcpFlags).
pub trait Bits: Copy + PartialEq + sealed::Sealed {
    /// Every bit.
    const ALL: Self;
    /// No bit.
    const NONE: Self;
    /// The bits in both.
    #[must_use]
    fn and(self, other: Self) -> Self;
    /// The bits in either.
    #[must_use]
    fn or(self, other: Self) -> Self;
    /// The bits that are not set.
    #[must_use]
    fn not(self) -> Self;
}

pub(crate) mod sealed {
    /// Keeps [`Bits`](super::Bits) to the types that the wire knows.
    pub trait Sealed {}
}

impl<T: Bits> Masked<T> {
    /// `value`, with the bits in `mask` that count.
    pub fn new(value: T, mask: T) -> Self {
        Self { value, mask }
    }

    /// The bits of the value that are in the mask: a request writes these.
    pub fn value(&self) -> T {
        self.value.and(self.mask)
    }

    /// The bits of the value that are outside the mask. A request leaves them out. A filter with
    /// such bits could match nothing, so it is refused.
    pub fn excess(&self) -> T {
        self.value.and(self.mask.not())
    }

    /// The value as it was given, with the bits outside the mask.
    pub(crate) fn given(&self) -> T {
        self.value
    }

    /// The bits that count.
    pub fn mask(&self) -> T {
        self.mask
    }

    /// Returns `true` if `bits` has this value in the bits that count. A value with bits
    /// [outside](Self::excess) the mask matches nothing, as in the kernel.
    pub fn matches(&self, bits: T) -> bool {
        bits.and(self.mask) == self.value
    }

    /// The result of writing this over `old`.
    #[must_use]
    pub fn apply(&self, old: T) -> T {
        old.and(self.mask.not()).or(self.value())
    }

    /// Returns `true` if a write never changes anything.
    pub(crate) fn is_void(&self) -> bool {
        self.mask == T::NONE
    }
}

impl<T: Bits> From<T> for Masked<T> {
    fn from(value: T) -> Self {
        Self::new(value, T::ALL)
    }
}

/// Implements [`Bits`] for a type of `bitflags` and its big-endian [`Value`].
macro_rules! bits {
    ($flags:ty, $int:ty) => {
        impl $crate::flow::bits::sealed::Sealed for $flags {}
        impl $crate::flow::bits::Bits for $flags {
            const ALL: Self = Self::from_bits_retain(<$int>::MAX);
            const NONE: Self = Self::empty();
            fn and(self, other: Self) -> Self {
                self & other
            }
            fn or(self, other: Self) -> Self {
                self | other
            }
            fn not(self) -> Self {
                Self::from_bits_retain(!self.bits())
            }
        }
        impl $crate::wire::attr::Value for $flags {
            const LEN: usize = size_of::<$int>();
            #[inline]
            fn read(payload: &[u8]) -> Option<Self> {
                <$int>::read(payload).map(Self::from_bits_retain)
            }
            fn write(&self, out: &mut Vec<u8>) {
                self.bits().write(out);
            }
        }
    };
}

impl sealed::Sealed for u32 {}

impl Bits for u32 {
    const ALL: Self = Self::MAX;
    const NONE: Self = 0;
    fn and(self, other: Self) -> Self {
        self & other
    }
    fn or(self, other: Self) -> Self {
        self | other
    }
    fn not(self) -> Self {
        !self
    }
}

/// The 128 labels of a flow, each set or not.
///
/// `-l`, `--label-add`, `--label-del`, `-o labels`; `CTA_LABELS` (Linux 3.9). The kernel
/// knows no names: see [`LabelMap`](crate::LabelMap).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Labels([u8; 16]);

impl Labels {
    /// No label.
    pub const EMPTY: Self = Self([0; 16]);
    /// Every label.
    pub const ALL: Self = Self([0xff; 16]);

    /// Label `n` alone, 0 to 127.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a label above 127.
    ///
    /// ```
    /// # use ctnetlink::Labels;
    /// let labels = Labels::bit(3)? | Labels::bit(127)?;
    /// assert!(labels.contains(3));
    /// assert_eq!(labels.iter().collect::<Vec<_>>(), [3, 127]);
    /// assert!(Labels::bit(128).is_err());
    /// # Ok::<(), ctnetlink::Error>(())
    /// ```
    pub fn bit(n: u8) -> Result<Self> {
        if n > 127 {
            return Err(Error::invalid_input(format!(
                "label {n}: the highest label is 127"
            )));
        }
        Ok(Self::from(1u128 << n))
    }

    /// Returns `true` if label `n` is set.
    pub fn contains(&self, n: u8) -> bool {
        n <= 127 && u128::from(*self) >> n & 1 == 1
    }

    /// Returns `true` if no label is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// The number of labels that are set.
    pub fn len(&self) -> usize {
        u128::from(*self).count_ones() as usize
    }

    /// Sets label `n`. Returns `true` if it was not set before.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a label above 127.
    pub fn insert(&mut self, n: u8) -> Result<bool> {
        let before = *self;
        *self |= Self::bit(n)?;
        Ok(*self != before)
    }

    /// Clears label `n`. Returns `true` if it was set before.
    pub fn remove(&mut self, n: u8) -> bool {
        let before = *self;
        *self = Self::bit(n).map_or(before, |label| before - label);
        *self != before
    }

    /// Iterates over the labels that are set, the lowest first.
    pub fn iter(&self) -> impl Iterator<Item = u8> + use<> {
        let labels = *self;
        (0..128).filter(move |n| labels.contains(*n))
    }
}

impl From<u128> for Labels {
    /// Bit n of the number is label n.
    fn from(bits: u128) -> Self {
        Self(bits.to_le_bytes())
    }
}

impl From<Labels> for u128 {
    fn from(labels: Labels) -> Self {
        Self::from_le_bytes(labels.0)
    }
}

impl std::ops::BitOr for Labels {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.or(other)
    }
}

impl std::ops::BitOrAssign for Labels {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

/// The union of the labels. To collect numbers, use
/// `numbers.map(Labels::bit).collect::<Result<Labels, _>>()`.
impl FromIterator<Labels> for Labels {
    fn from_iter<I: IntoIterator<Item = Labels>>(all: I) -> Self {
        all.into_iter().fold(Self::EMPTY, |all, some| all | some)
    }
}

impl std::ops::BitAnd for Labels {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        self.and(other)
    }
}

impl std::ops::Not for Labels {
    type Output = Self;
    fn not(self) -> Self {
        Bits::not(self)
    }
}

/// The labels on the left that are not on the right.
impl std::ops::Sub for Labels {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self & !other
    }
}

impl sealed::Sealed for Labels {}

impl Bits for Labels {
    const ALL: Self = Self::ALL;
    const NONE: Self = Self::EMPTY;
    fn and(self, other: Self) -> Self {
        Self::from(u128::from(self) & u128::from(other))
    }
    fn or(self, other: Self) -> Self {
        Self::from(u128::from(self) | u128::from(other))
    }
    fn not(self) -> Self {
        Self::from(!u128::from(self))
    }
}

/// All 16 bytes are always sent, because the kernel zeroes the words that it is not given. It may
/// send fewer.
impl Value for Labels {
    #[inline]
    fn read(payload: &[u8]) -> Option<Self> {
        let mut bytes = [0; 16];
        let len = payload.len().min(16);
        bytes[..len].copy_from_slice(&payload[..len]);
        Some(Self(in_words(bytes)))
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&in_words(self.0));
    }
}

/// The kernel keeps labels in machine words: on a big-endian machine, the bytes of each word are in
/// reverse order.
#[inline]
fn in_words(mut bytes: [u8; 16]) -> [u8; 16] {
    if cfg!(target_endian = "big") {
        for word in bytes.chunks_exact_mut(size_of::<usize>()) {
            word.reverse();
        }
    }
    bytes
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
