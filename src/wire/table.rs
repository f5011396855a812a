//! `attributes!`: each attribute is declared in one row, which generates the struct field, the
//! decoder and the encoder.

use std::marker::PhantomData;

use super::attr::{DecodeError, Writer};
use super::uapi::NLA_F_NESTED;
use super::usual::{Ordered, Usual};

pub(crate) use super::context::{Context, Way};

#[macro_use]
mod row;
pub(crate) use row::{Codec, Row};

#[cfg(feature = "serde")]
#[macro_use]
mod keys;
#[cfg(feature = "serde")]
pub(crate) use keys::Absent;

/// The attribute of a row and its type. With it, a request can write a single attribute without
/// repeating its number.
pub(crate) struct Kind<T> {
    pub(crate) name: &'static str,
    pub(crate) number: u16,
    pub(crate) direction: Option<Way>,
    /// The number of the attribute's mask; 0 if it has none.
    pub(crate) mask: u16,
    pub(crate) carries: PhantomData<fn() -> T>,
}

impl<T: Codec> Kind<T> {
    /// Reads the next attribute into the field, if it is this one. Returns whether it is.
    #[inline(always)]
    pub(crate) fn read_next<R: Row<Inner = T>>(
        self,
        ordered: &mut Ordered<'_>,
        field: &mut R,
        cx: &mut Context,
    ) -> Result<bool, DecodeError> {
        // The most usual nest has a branch of its own, where the compiler knows all lengths.
        if T::NEST != 0 {
            if let Some(payload) = ordered.next(self.number | NLA_F_NESTED, T::NEST) {
                match T::usual(payload) {
                    Some(value) => field.set(value, cx),
                    None => self.read(payload, field, cx)?,
                }
                return Ok(true);
            }
        }
        let payload = match T::LEN {
            0 => ordered.next_any(self.number),
            len => ordered.next(self.number, len),
        };
        match payload {
            Some(payload) => self.read(payload, field, cx).map(|()| true),
            None => Ok(false),
        }
    }

    /// The length of the value; 0 if it is not always the same.
    pub(crate) const fn len(&self) -> usize {
        T::LEN
    }

    /// Reads the next attribute of a run into the field; `None` if it is another. A run that fails
    /// later leaves the field set, and its attributes are then read again.
    #[inline(always)]
    pub(crate) fn read_run<R: Row<Inner = T>>(
        self,
        run: &mut Usual<'_>,
        field: &mut R,
        cx: &mut Context,
    ) -> Option<()> {
        field.set(T::usual(run.next(self.number, T::LEN)?)?, cx);
        Some(())
    }

    #[inline]
    fn read<R: Row<Inner = T>>(
        self,
        payload: &[u8],
        field: &mut R,
        cx: &mut Context,
    ) -> Result<(), DecodeError> {
        cx.direction = self.direction;
        field
            .read(payload, cx)
            .map_err(|cause| cause.inside(self.name))
    }

    #[inline]
    pub(crate) fn put(self, value: &T, cx: &Context, w: &mut Writer<'_>) {
        value.encode(self.number, &cx.of(self.direction), w);
    }

    #[inline]
    pub(crate) fn put_some(self, value: Option<&T>, w: &mut Writer<'_>) {
        if let Some(value) = value {
            self.put(value, &Context::default(), w);
        }
    }

    /// Writes the value and, if its row has one, the mask.
    #[inline]
    pub(crate) fn put_masked(self, value: &T, mask: &T, w: &mut Writer<'_>) {
        let cx = Context::default();
        value.encode(self.number, &cx, w);
        if self.mask != 0 {
            mask.encode(self.mask, &cx, w);
        }
    }
}

/// The options of a row, in brackets after its attribute. `[of Orig]` is its direction. `[of Reply,
/// inverse orig]` leaves it out in text formats if it is the inverse of another field. `[with
/// counters_reply]` and `[in counters_orig]` make the two a list under one key. `[mask
/// CTA_MARK_MASK]` is the attribute of its mask. `[max 15]` is its maximum length in bytes.
macro_rules! row {
    (direction) => {
        None
    };
    (direction of $direction:ident $(, inverse $of:ident)?) => {
        Some($crate::wire::table::Way::$direction)
    };
    (direction $($other:tt)+) => {
        None
    };
    (mask mask $mask:ident) => {
        $crate::wire::uapi::$mask
    };
    (mask $($other:tt)*) => {
        0
    };
    (check $cta:ident, $value:expr; max $max:literal) => {
        within!($cta, $crate::wire::attr::at_most($value, $max))?
    };
    (check $cta:ident, $value:expr; $($other:tt)*) => {};
}

/// Declares a struct whose fields are attributes.
///
/// ```text
/// attributes! {
///     /// What it is.
///     pub struct Flow {
///         /// What the field is.
///         CTA_MARK => mark: Option<u32>,
///     }
///     boxed rare: Rare {          // one allocation for all that most flows lack
///         /// What the accessor gives.
///         CTA_HELP => helper: Helper,
///     }
/// }
/// ```
///
/// `= [default]` after a type is for serde, as in `#[serde(default)]`.
///
/// `in order { mark, [id, use_count], }` after the rows is the order in which the kernel usually
/// writes them, which makes decoding faster. Rows in brackets, whose values have fixed lengths, are
/// tried together, and passed over if one of them is absent. A row can be there twice, and a row
/// with `[max]` cannot be there.
macro_rules! attributes {
    ($($rows:tt)+) => {
        attribute_rows! { $($rows)+ }
        #[cfg(feature = "serde")]
        attribute_keys! { $($rows)+ }
    };
}

macro_rules! attribute_rows {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* $cta:ident $([$($says:tt)+])? => $field:ident: $ty:ty $(as $with:literal)? $(= [$($serde:tt)+])?,)+
        }
        $(boxed $rare:ident: $rare_ty:ident {
            $($(#[$rare_meta:meta])* $rare_cta:ident => $rare_field:ident, $rare_set:ident: $rare_field_ty:ty $(as $rare_with:literal)?,)+
        })?
        $(in order { $($($next:ident)? $([$($run:ident),+])?,)+ })?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $ty,)+
            $(
                pub(crate) $rare: Option<Box<$rare_ty>>,
            )?
        }

        // For requests that write a single attribute: `Flow::mark.put(..)`.
        #[allow(non_upper_case_globals, dead_code)]
        impl $name {
            $(pub(crate) const $field:
                $crate::wire::table::Kind<<$ty as $crate::wire::table::Row>::Inner> =
                $crate::wire::table::Kind {
                    name: stringify!($cta),
                    number: $crate::wire::uapi::$cta,
                    direction: row!(direction $($($says)+)?),
                    mask: row!(mask $($($says)+)?),
                    carries: std::marker::PhantomData,
                };)+
        }

        impl $name {
            /// The length of a nest that has all the rows, if that is always the same.
            pub(crate) const USUAL: usize = $crate::wire::usual::length(&[
                $(<<$ty as $crate::wire::table::Row>::Inner as $crate::wire::table::Codec>::LEN,)+
            ]);

            /// The struct before any attribute was read.
            #[inline(always)]
            pub(crate) fn blank() -> Self {
                use $crate::wire::table::Row;
                Self {
                    $($field: Row::blank(),)+
                    $($rare: Option::<Box<$rare_ty>>::None,)?
                }
            }

            #[inline]
            pub(crate) fn read(
                attributes: $crate::wire::attr::Attributes<'_>,
                cx: &mut $crate::wire::table::Context,
            ) -> Result<Self, $crate::wire::attr::DecodeError> {
                let mut new = Self::blank();
                new.fill(attributes, cx)?;
                Ok(new)
            }

            /// Reads the attributes into a blank struct.
            pub(crate) fn fill(
                &mut self,
                mut attributes: $crate::wire::attr::Attributes<'_>,
                cx: &mut $crate::wire::table::Context,
            ) -> Result<(), $crate::wire::attr::DecodeError> {
                use $crate::wire::table::Row;
                $(let mut $field = false;)+
                $(
                    let mut ordered = $crate::wire::usual::Ordered::new(attributes);
                    $(
                        $($next |= Self::$next.read_next(&mut ordered, &mut self.$next, cx)?;)?
                        $(
                            let len = const { $crate::wire::usual::length(&[$(Self::$run.len()),+]) };
                            let run = ordered.run(len).and_then(|mut run| {
                                $(Self::$run.read_run(&mut run, &mut self.$run, cx)?;)+
                                Some(())
                            });
                            if run.is_some() {
                                ordered.skip(len);
                                $($run = true;)+
                            }
                        )?
                    )+
                    attributes = ordered.rest();
                )?
                while let Some(attr) = attributes.next()? {
                    match attr.kind {
                        $($crate::wire::uapi::$cta => {
                            cx.direction = row!(direction $($($says)+)?);
                            within!($cta, Row::read(&mut self.$field, attr.payload, cx))?;
                            $(row!(check $cta, &self.$field; $($says)+);)?
                            $field = true;
                        })+
                        _ => { $($rare_ty::accept(&mut self.$rare, attr.kind, attr.payload, cx)?;)? }
                    }
                }
                $(within!($cta, Row::finish(&mut self.$field, $field, cx))?;)+
                Ok(())
            }

            pub(crate) fn write(
                &self,
                cx: &$crate::wire::table::Context,
                w: &mut $crate::wire::attr::Writer<'_>,
            ) {
                use $crate::wire::table::Row;
                $(<$ty as Row>::write(
                    &self.$field,
                    $crate::wire::uapi::$cta,
                    &cx.of(row!(direction $($($says)+)?)),
                    w,
                );)+
                $(if let Some(rare) = &self.$rare {
                    $(Row::write(&rare.$rare_field, $crate::wire::uapi::$rare_cta, cx, w);)+
                })?
            }

            $($(
                $(#[$rare_meta])*
                pub fn $rare_field(&self) -> Option<&$rare_field_ty> {
                    self.$rare.as_ref()?.$rare_field.as_ref()
                }

                #[doc = concat!("Sets [`", stringify!($rare_field), "`](Self::", stringify!($rare_field), "), for programs that test what they do with flows.")]
                pub fn $rare_set(&mut self, value: impl Into<Option<$rare_field_ty>>) {
                    let mut rare = self.$rare.take().unwrap_or_default();
                    rare.$rare_field = value.into();
                    // An empty box would make equal flows differ.
                    self.$rare = (*rare != $rare_ty::default()).then_some(rare);
                }
            )+)?
        }

        impl $crate::wire::table::Codec for $name {
            const NEST: usize = Self::USUAL;
            /// A nest that has all the rows, in their order, and nothing else.
            #[inline(always)]
            fn usual(payload: &[u8]) -> Option<Self> {
                use $crate::wire::table::{Codec, Context, Row};
                let mut usual = $crate::wire::usual::Usual::of(payload, Self::USUAL)?;
                let mut new = Self::blank();
                // Plain values, which do not look at it.
                let cx = &mut Context::default();
                $(let value = usual.next(
                    $crate::wire::uapi::$cta,
                    <<$ty as Row>::Inner as Codec>::LEN,
                )?;
                Row::read(&mut new.$field, value, cx).ok()?;)+
                Some(new)
            }
            fn decode(
                payload: &[u8],
                cx: &mut $crate::wire::table::Context,
            ) -> Result<Self, $crate::wire::attr::DecodeError> {
                Self::read($crate::wire::attr::Attributes(payload), cx)
            }
            fn encode(
                &self,
                kind: u16,
                cx: &$crate::wire::table::Context,
                w: &mut $crate::wire::attr::Writer<'_>,
            ) {
                w.nest(kind, |w| self.write(cx, w));
            }
        }

        $(
            #[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
            pub(crate) struct $rare_ty {
                $(pub(crate) $rare_field: Option<$rare_field_ty>,)+
            }

            #[allow(non_upper_case_globals, dead_code)]
            impl $rare_ty {
                $(pub(crate) const $rare_field: $crate::wire::table::Kind<$rare_field_ty> =
                    $crate::wire::table::Kind {
                        name: stringify!($rare_cta),
                        number: $crate::wire::uapi::$rare_cta,
                        direction: None,
                        mask: 0,
                        carries: std::marker::PhantomData,
                    };)+
            }

            impl $rare_ty {
                /// Decodes an attribute of its rows. Any other attribute is unknown, and skipped.
                fn accept(
                    slot: &mut Option<Box<Self>>,
                    kind: u16,
                    payload: &[u8],
                    cx: &mut $crate::wire::table::Context,
                ) -> Result<(), $crate::wire::attr::DecodeError> {
                    match kind {
                        $($crate::wire::uapi::$rare_cta => {
                            cx.direction = None;
                            let value = within!(
                                $rare_cta,
                                $crate::wire::table::Codec::decode(payload, cx)
                            )?;
                            slot.get_or_insert_default().$rare_field = Some(value);
                        })+
                        _ => {}
                    }
                    Ok(())
                }
            }
        )?
    };
}
