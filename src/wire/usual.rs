//! Nests that the kernel always writes in the same way: the same attributes, with the same lengths,
//! in the same order.
//!
//! Such a nest is read without a walk. The headers are compared with the usual ones, and the values
//! are then at known places. A nest of any other shape is walked. [`Attributes`](super::attr)
//! defines the meaning of a nest; this only saves time.
//!
//! The attributes of a message are not always the same, but their order is: see [`Ordered`].

use super::attr::{Attributes, align4, header, parts};
use super::uapi::NLA_TYPE_MASK;

/// The length of a nest with one attribute for each of these lengths. It is 0, so that no nest has
/// it, if one of them is 0: a value without a fixed length, or a nest.
pub(crate) const fn length(values: &[usize]) -> usize {
    let (mut sum, mut index) = (0, 0);
    while index < values.len() {
        if values[index] == 0 {
            return 0;
        }
        sum += align4(4 + values[index]);
        index += 1;
    }
    sum
}

/// The rest of a nest that has the usual shape so far.
///
/// All functions are inlined. The compiler then knows every length, and only the comparisons of the
/// headers are left.
pub(crate) struct Usual<'a>(&'a [u8]);

impl<'a> Usual<'a> {
    /// A nest, if it has the usual length.
    #[inline(always)]
    pub(crate) fn of(payload: &'a [u8], len: usize) -> Option<Self> {
        (payload.len() == len && len != 0).then_some(Self(payload))
    }

    /// The payload of the next attribute, if it has this type and its payload this length.
    #[inline(always)]
    pub(crate) fn next(&mut self, kind: u16, len: usize) -> Option<&'a [u8]> {
        let (attribute, rest) = self.0.split_at_checked(align4(4 + len))?;
        let (found, payload) = attribute.split_first_chunk()?;
        if *found != header(4 + len, kind) {
            return None;
        }
        self.0 = rest;
        payload.get(..len)
    }

    /// Goes to the first attribute of a nest, if that is next, and its attributes have this length.
    #[inline(always)]
    pub(crate) fn enter(&mut self, kind: u16, len: usize) -> Option<()> {
        let (found, rest) = self.0.split_first_chunk()?;
        if *found != header(4 + len, kind) {
            return None;
        }
        self.0 = rest;
        Some(())
    }
}

/// The rest of a message whose attributes come in a known order. Any of them may be absent.
///
/// The next header is compared with the known ones, one after the other. That takes a third of the
/// time of a lookup by number.
pub(crate) struct Ordered<'a> {
    rest: &'a [u8],
    /// The header of the next attribute, or zeros, which no attribute has.
    next: [u8; 4],
}

impl<'a> Ordered<'a> {
    #[inline(always)]
    pub(crate) fn new(attributes: Attributes<'a>) -> Self {
        let rest = attributes.0;
        let next = rest.first_chunk().copied().unwrap_or_default();
        Self { rest, next }
    }

    /// The payload of the next attribute, if it has this type, with its flags, and its payload this
    /// length.
    #[inline(always)]
    pub(crate) fn next(&mut self, kind: u16, len: usize) -> Option<&'a [u8]> {
        match self.next == header(4 + len, kind) {
            true => self.take(4 + len),
            false => None,
        }
    }

    /// The payload of the next attribute, if it has this type.
    #[inline(always)]
    pub(crate) fn next_any(&mut self, kind: u16) -> Option<&'a [u8]> {
        let (len, found) = parts(&self.next);
        match found & NLA_TYPE_MASK == kind {
            true => self.take(len),
            false => None,
        }
    }

    /// A run: the next attributes, if there are this many bytes.
    #[inline(always)]
    pub(crate) fn run(&self, len: usize) -> Option<Usual<'a>> {
        self.rest.get(..len).map(Usual)
    }

    /// Continues after a run of this length.
    #[inline(always)]
    pub(crate) fn skip(&mut self, len: usize) {
        *self = Self::new(Attributes(self.rest.get(len..).unwrap_or_default()));
    }

    #[inline(always)]
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (attribute, rest) = self.rest.split_at_checked(align4(len))?;
        let payload = attribute.get(4..len)?;
        *self = Self::new(Attributes(rest));
        Some(payload)
    }

    /// The attributes that are left.
    #[inline(always)]
    pub(crate) fn rest(self) -> Attributes<'a> {
        Attributes(self.rest)
    }
}
