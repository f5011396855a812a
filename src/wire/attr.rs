//! Attributes: an iterator over them, codecs for plain values, and the writer.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::uapi::{NLA_F_NESTED, NLA_TYPE_MASK};

pub use super::fault::DecodeError;

/// Adds the name of the attribute to a decoding error.
macro_rules! within {
    ($name:ident, $read:expr) => {
        $read.map_err(|cause| cause.inside(stringify!($name)))
    };
}

/// An attribute that must be there.
macro_rules! present {
    ($name:ident, $value:expr) => {
        within!(
            $name,
            $value.ok_or_else(|| $crate::wire::attr::DecodeError::Missing)
        )
    };
}

/// One attribute: its type without flags, and its payload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attribute<'a> {
    pub(crate) kind: u16,
    pub(crate) payload: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// The payload as `T`.
    #[inline]
    pub(crate) fn get<T: Value>(self) -> Result<T, DecodeError> {
        T::read(self.payload).ok_or_else(|| DecodeError::TooShort)
    }

    /// The attributes inside this one.
    #[inline]
    pub(crate) fn nest(self) -> Attributes<'a> {
        Attributes(self.payload)
    }
}

/// Walks attributes one after the other.
///
/// Bytes left at the end that are too few for a header are ignored, as the kernel does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes<'a>(pub(crate) &'a [u8]);

impl<'a> Attributes<'a> {
    /// The next attribute, or `None` at the end.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Attribute<'a>>, DecodeError> {
        let Some((len, kind)) = self.0.first_chunk().map(parts) else {
            return Ok(None);
        };
        // `get` returns `None` if the length is less than the header's.
        let Some(payload) = self.0.get(4..len) else {
            return Err(DecodeError::Truncated);
        };
        self.0 = &self.0[align4(len).min(self.0.len())..];
        let kind = kind & NLA_TYPE_MASK;
        Ok(Some(Attribute { kind, payload }))
    }
}

/// The length and the type in a header.
#[inline]
pub(crate) fn parts(header: &[u8; 4]) -> (usize, u16) {
    let [l0, l1, ..] = *header;
    // Read it as one number. Two bytes, of which one is masked, take three instructions more.
    let kind = header
        .last_chunk()
        .map_or(0, |kind| u16::from_ne_bytes(*kind));
    (u16::from_ne_bytes([l0, l1]).into(), kind)
}

/// Rounds up to netlink's alignment.
#[inline]
pub(crate) const fn align4(len: usize) -> usize {
    (len + 3) & !3
}

/// The header of an attribute; `len` counts it.
#[inline]
pub(crate) const fn header(len: usize, kind: u16) -> [u8; 4] {
    let ([l0, l1], [k0, k1]) = ((len as u16).to_ne_bytes(), kind.to_ne_bytes());
    [l0, l1, k0, k1]
}

/// A value of fixed size. If the payload is longer, its first bytes count, as in the kernel.
/// Integers are big-endian on the wire.
pub(crate) trait Value: Sized {
    /// The length that the kernel writes; 0 if it is not always the same.
    const LEN: usize = 0;
    fn read(payload: &[u8]) -> Option<Self>;
    fn write(&self, out: &mut Vec<u8>);
    /// Writes the whole attribute.
    #[inline]
    fn put(&self, kind: u16, w: &mut Writer<'_>) {
        w.framed(kind, |w| self.write(w.0));
    }
}

macro_rules! integers {
    ($($ty:ty),+) => {
        $(impl Value for $ty {
            const LEN: usize = size_of::<$ty>();
            #[inline]
            fn read(payload: &[u8]) -> Option<Self> {
                payload.first_chunk().map(|bytes| Self::from_be_bytes(*bytes))
            }
            #[inline]
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
            /// One call, so that the writer grows once.
            #[inline]
            fn put(&self, kind: u16, w: &mut Writer<'_>) {
                const LEN: usize = 4 + size_of::<$ty>();
                let mut attribute = [0; align4(LEN)];
                attribute[..2].copy_from_slice(&(LEN as u16).to_ne_bytes());
                attribute[2..4].copy_from_slice(&kind.to_ne_bytes());
                attribute[4..LEN].copy_from_slice(&self.to_be_bytes());
                w.0.extend_from_slice(&attribute);
            }
        })+
    };
}

integers!(u8, u16, u32, u64, i32);

impl<const N: usize> Value for [u8; N] {
    const LEN: usize = N;
    #[inline]
    fn read(payload: &[u8]) -> Option<Self> {
        payload.first_chunk().copied()
    }
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl Value for Ipv4Addr {
    #[inline]
    fn read(payload: &[u8]) -> Option<Self> {
        <[u8; 4]>::read(payload).map(Self::from)
    }
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        self.octets().write(out);
    }
}

impl Value for Ipv6Addr {
    #[inline]
    fn read(payload: &[u8]) -> Option<Self> {
        <[u8; 16]>::read(payload).map(Self::from)
    }
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        self.octets().write(out);
    }
}

/// The maximum length of a value without a fixed length. The kernel never sends or accepts more,
/// and it is small enough that no nest overflows its length field.
const LONGEST: usize = 4096;

/// Bytes without a fixed length: the data that a helper in user space stores with a flow.
impl Value for Box<[u8]> {
    fn read(payload: &[u8]) -> Option<Self> {
        Some(payload.into())
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self[..self.len().min(LONGEST)]);
    }
}

/// A string that ends at the first NUL. Names are ASCII; invalid UTF-8 is replaced.
impl Value for Box<str> {
    fn read(payload: &[u8]) -> Option<Self> {
        let text = payload.split(|byte| *byte == 0).next().unwrap_or_default();
        Some(String::from_utf8_lossy(text).into())
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.as_bytes()[..self.len().min(LONGEST)]);
        out.push(0);
    }
}

/// Values without a fixed length.
pub(crate) trait Length {
    fn length(&self) -> usize;
}

impl Length for Box<[u8]> {
    fn length(&self) -> usize {
        self.len()
    }
}

impl Length for Box<str> {
    fn length(&self) -> usize {
        self.len()
    }
}

impl<T: Length> Length for Option<T> {
    fn length(&self) -> usize {
        self.as_ref().map_or(0, T::length)
    }
}

/// Refuses a value that is longer than any value of the kernel.
pub(crate) fn at_most(value: &impl Length, longest: usize) -> Result<(), DecodeError> {
    match value.length() > longest {
        true => Err(DecodeError::TooLong),
        false => Ok(()),
    }
}

impl Attribute<'_> {
    /// The value, of at most this many bytes.
    pub(crate) fn get_at_most<T: Value + Length>(self, longest: usize) -> Result<T, DecodeError> {
        let value = self.get()?;
        at_most(&value, longest)?;
        Ok(value)
    }
}

/// Appends attributes to a message under construction.
#[derive(Debug)]
pub(crate) struct Writer<'a>(pub(crate) &'a mut Vec<u8>);

impl Writer<'_> {
    /// Appends one attribute.
    #[inline]
    pub(crate) fn put(&mut self, kind: u16, value: &impl Value) {
        value.put(kind, self);
    }

    /// Appends one attribute if there is a value.
    #[inline]
    pub(crate) fn put_some(&mut self, kind: u16, value: Option<&impl Value>) {
        if let Some(value) = value {
            self.put(kind, value);
        }
    }

    /// Appends a nest that `fill` fills.
    #[inline]
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Writer<'_>)) {
        self.framed(kind | NLA_F_NESTED, fill);
    }

    #[inline]
    fn framed(&mut self, kind: u16, fill: impl FnOnce(&mut Writer<'_>)) {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        fill(&mut Writer(self.0));
        let len = self.0.len() - start;
        // Every value is bounded far below 64 KiB by its type.
        debug_assert!(len <= usize::from(u16::MAX));
        self.0[start..start + 2].copy_from_slice(&(len as u16).to_ne_bytes());
        self.0[start + 2..start + 4].copy_from_slice(&kind.to_ne_bytes());
        for _ in len..align4(len) {
            self.0.push(0);
        }
    }

    /// Appends encoded attributes.
    #[inline]
    pub(crate) fn raw(&mut self, attributes: &[u8]) {
        self.0.extend_from_slice(attributes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8]) -> Result<Vec<(u16, Vec<u8>)>, DecodeError> {
        let mut attributes = Attributes(bytes);
        let mut found = Vec::new();
        while let Some(Attribute { kind, payload }) = attributes.next()? {
            found.push((kind, payload.to_vec()));
        }
        Ok(found)
    }

    fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        Writer(&mut bytes).put(kind, &Box::<[u8]>::from(payload));
        bytes
    }

    #[test]
    fn flags_in_the_type_do_not_count() {
        for flags in [0x8000, 0x4000, 0xc000] {
            assert_eq!(
                all(&attribute(8 | flags, &[1, 2])),
                Ok(vec![(8, vec![1, 2])])
            );
        }
    }

    #[test]
    fn bytes_too_few_for_a_header_end_the_walk() {
        for rest in 0..4 {
            let mut bytes = attribute(8, &[1]);
            bytes.resize(8 + rest, 0xff);
            assert_eq!(all(&bytes), Ok(vec![(8, vec![1])]), "{rest} bytes left");
        }
    }

    #[test]
    fn the_last_attribute_needs_no_padding() {
        let mut bytes = attribute(8, &[1]);
        bytes.truncate(5);
        assert_eq!(all(&bytes), Ok(vec![(8, vec![1])]));
    }

    #[test]
    fn a_length_beyond_the_end_or_below_the_header_is_an_error() {
        for len in [0_u16, 3, 9, 0xffff] {
            let mut bytes = attribute(8, &[1, 2, 3, 4]);
            bytes[..2].copy_from_slice(&len.to_ne_bytes());
            assert_eq!(all(&bytes), Err(DecodeError::Truncated), "{len}");
        }
    }

    #[test]
    fn a_longer_payload_is_accepted_and_a_shorter_one_named() {
        let attr = |payload| Attribute { kind: 7, payload };
        assert_eq!(attr(&[0, 0, 1, 2, 9, 9]).get::<u32>(), Ok(0x102));
        assert_eq!(attr(&[0, 0, 1]).get::<u32>(), Err(DecodeError::TooShort));
        assert_eq!(attr(&[1; 15]).get::<Ipv6Addr>(), Err(DecodeError::TooShort));
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_walked(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = all(&bytes);
        }

        #[test]
        fn what_is_written_is_read(
            kinds in proptest::collection::vec((0u16..0x4000, proptest::collection::vec(any::<u8>(), 0..40)), 0..10),
        ) {
            let bytes: Vec<u8> = kinds.iter().flat_map(|(kind, payload)| attribute(*kind, payload)).collect();
            prop_assert_eq!(bytes.len() % 4, 0);
            prop_assert_eq!(all(&bytes), Ok(kinds));
        }

        #[test]
        fn integers_survive(a: u8, b: u16, c: u32, d: u64, e: i32) {
            fn same<T: Value + PartialEq>(value: T) -> bool {
                let mut bytes = Vec::new();
                value.write(&mut bytes);
                T::read(&bytes) == Some(value)
            }
            prop_assert!(same(a) && same(b) && same(c) && same(d) && same(e));
        }
    }
}
