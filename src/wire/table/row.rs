//! How the field of a row is decoded and encoded.

use super::Context;
use crate::wire::attr::{DecodeError, Value, Writer};

/// The payload of an attribute: a plain value or a nest.
pub(crate) trait Codec: Sized {
    /// The length that the kernel writes; 0 if it is not always the same, and for nests.
    const LEN: usize = 0;
    /// The length of the most usual nest; 0 if there is none.
    const NEST: usize = 0;
    /// Decodes a value, or a nest of a [usual](crate::wire::usual) shape; `None` if it has another.
    #[inline(always)]
    fn usual(_: &[u8]) -> Option<Self> {
        None
    }
    fn decode(payload: &[u8], cx: &mut Context) -> Result<Self, DecodeError>;
    fn encode(&self, kind: u16, cx: &Context, w: &mut Writer<'_>);
}

impl<T: Value> Codec for T {
    const LEN: usize = T::LEN;
    #[inline(always)]
    fn usual(payload: &[u8]) -> Option<Self> {
        T::read(payload)
    }
    #[inline]
    fn decode(payload: &[u8], _: &mut Context) -> Result<Self, DecodeError> {
        T::read(payload).ok_or_else(|| DecodeError::TooShort)
    }
    #[inline]
    fn encode(&self, kind: u16, _: &Context, w: &mut Writer<'_>) {
        w.put(kind, self);
    }
}

/// How a field is decoded: an `Option` may be absent, a [`plain!`] type is required.
///
/// A field is decoded where it is, because each move of a flow costs a tenth of decoding it.
pub(crate) trait Row: Sized {
    type Inner: Codec;
    /// The field before its attribute was read.
    fn blank() -> Self;
    fn read(&mut self, payload: &[u8], cx: &mut Context) -> Result<(), DecodeError>;
    /// Sets the field to a value that is decoded.
    fn set(&mut self, value: Self::Inner, cx: &mut Context);
    /// Called after the last attribute of the struct. Was there one for this field?
    fn finish(&mut self, found: bool, cx: &Context) -> Result<(), DecodeError>;
    fn write(&self, kind: u16, cx: &Context, w: &mut Writer<'_>);
}

impl<T: Codec> Row for Option<T> {
    type Inner = T;
    #[inline]
    fn blank() -> Self {
        None
    }
    #[inline]
    fn read(&mut self, payload: &[u8], cx: &mut Context) -> Result<(), DecodeError> {
        // Two assignments, because a value that could come from either would be moved.
        match T::usual(payload) {
            Some(usual) => *self = Some(usual),
            None => *self = Some(T::decode(payload, cx)?),
        }
        Ok(())
    }
    #[inline(always)]
    fn set(&mut self, value: T, _: &mut Context) {
        match self {
            Some(old) if std::mem::needs_drop::<T>() => *old = value,
            // What was absent needs no drop.
            _ => *self = Some(value),
        }
    }
    #[inline]
    fn finish(&mut self, _: bool, _: &Context) -> Result<(), DecodeError> {
        Ok(())
    }
    fn write(&self, kind: u16, cx: &Context, w: &mut Writer<'_>) {
        if let Some(value) = self {
            value.encode(kind, cx, w);
        }
    }
}

/// Types of required attributes: without the attribute, the message does not decode. `= is_empty`
/// names the method that tells whether a value is left out in text formats. `: value` is what a
/// field contains before its attribute was read, if the type has no default.
macro_rules! plain {
    (blank) => {
        Default::default()
    };
    (blank $blank:expr) => {
        $blank
    };
    ($($ty:ty $(= $is_empty:ident)? $(: $blank:expr)?),+ $(,)?) => {
        $(impl $crate::wire::table::Row for $ty {
            type Inner = $ty;
            #[inline]
            fn blank() -> Self {
                plain!(blank $($blank)?)
            }
            #[inline]
            fn read(
                &mut self,
                payload: &[u8],
                cx: &mut $crate::wire::table::Context,
            ) -> Result<(), $crate::wire::attr::DecodeError> {
                use $crate::wire::table::Codec;
                match Codec::usual(payload) {
                    Some(usual) => *self = usual,
                    None => *self = Codec::decode(payload, cx)?,
                }
                Ok(())
            }
            #[inline(always)]
            fn set(&mut self, value: $ty, _: &mut $crate::wire::table::Context) {
                *self = value;
            }
            #[inline]
            fn finish(
                &mut self,
                found: bool,
                _: &$crate::wire::table::Context,
            ) -> Result<(), $crate::wire::attr::DecodeError> {
                match found {
                    true => Ok(()),
                    false => Err($crate::wire::attr::DecodeError::Missing),
                }
            }
            fn write(
                &self,
                kind: u16,
                cx: &$crate::wire::table::Context,
                w: &mut $crate::wire::attr::Writer<'_>,
            ) {
                $crate::wire::table::Codec::encode(self, kind, cx, w);
            }
        }

        #[cfg(feature = "serde")]
        impl $crate::wire::table::Absent for $ty {
            $(fn is_absent(&self) -> bool {
                self.$is_empty()
            })?
        })+
    };
}

plain!(u8, u32, u64, i32);
