//! `attributes!`: each attribute stands in one row that feeds struct, decoder and encoder.

use std::marker::PhantomData;

use super::attr::{Attribute, DecodeError, Value, Writer};

/// What one attribute of a message says about others: the zones, which stand at the top level or
/// inside the tuple of the one direction that they are for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) zone: Option<u16>,
    pub(crate) zone_orig: Option<u16>,
    pub(crate) zone_reply: Option<u16>,
}

/// What an attribute's payload holds: a plain value or a nest.
pub(crate) trait Codec: Sized {
    fn decode(attr: Attribute<'_>, cx: &mut Context) -> Result<Self, DecodeError>;
    fn encode(&self, kind: u16, cx: &Context, w: &mut Writer<'_>);
}

impl<T: Value> Codec for T {
    #[inline]
    fn decode(attr: Attribute<'_>, _: &mut Context) -> Result<Self, DecodeError> {
        attr.get()
    }
    fn encode(&self, kind: u16, _: &Context, w: &mut Writer<'_>) {
        w.put(kind, self);
    }
}

/// How a field takes part: `Option` may be absent, a [`plain!`] type must be there.
pub(crate) trait Row: Sized {
    type Inner: Codec;
    type Slot: Default;
    fn read(
        slot: &mut Self::Slot,
        attr: Attribute<'_>,
        cx: &mut Context,
    ) -> Result<(), DecodeError>;
    fn finish(slot: Self::Slot, kind: u16, cx: &Context) -> Result<Self, DecodeError>;
    fn write(&self, kind: u16, cx: &Context, w: &mut Writer<'_>);
}

impl<T: Codec> Row for Option<T> {
    type Inner = T;
    type Slot = Option<T>;
    #[inline]
    fn read(slot: &mut Option<T>, a: Attribute<'_>, cx: &mut Context) -> Result<(), DecodeError> {
        *slot = Some(T::decode(a, cx)?);
        Ok(())
    }
    #[inline]
    fn finish(slot: Option<T>, _: u16, _: &Context) -> Result<Self, DecodeError> {
        Ok(slot)
    }
    fn write(&self, kind: u16, cx: &Context, w: &mut Writer<'_>) {
        if let Some(value) = self {
            value.encode(kind, cx, w);
        }
    }
}

/// Types that stand in a row as themselves: without the attribute, the message does not decode.
macro_rules! plain {
    ($($ty:ty),+ $(,)?) => {
        $(impl $crate::wire::table::Row for $ty {
            type Inner = $ty;
            type Slot = Option<$ty>;
            #[inline]
            fn read(
                slot: &mut Option<$ty>,
                attr: $crate::wire::attr::Attribute<'_>,
                cx: &mut $crate::wire::table::Context,
            ) -> Result<(), $crate::wire::attr::DecodeError> {
                *slot = Some($crate::wire::table::Codec::decode(attr, cx)?);
                Ok(())
            }
            #[inline]
            fn finish(
                slot: Option<$ty>,
                attribute: u16,
                _: &$crate::wire::table::Context,
            ) -> Result<Self, $crate::wire::attr::DecodeError> {
                slot.ok_or($crate::wire::attr::DecodeError::Missing { attribute })
            }
            fn write(
                &self,
                kind: u16,
                cx: &$crate::wire::table::Context,
                w: &mut $crate::wire::attr::Writer<'_>,
            ) {
                $crate::wire::table::Codec::encode(self, kind, cx, w);
            }
        })+
    };
}

plain!(u8, u32, u64, i32);

/// The number of a row, with the type that it carries: lets a request write one attribute of a
/// table without naming its number again.
pub(crate) struct Kind<T>(u16, PhantomData<fn() -> T>);

impl<T: Codec> Kind<T> {
    pub(crate) const fn new(kind: u16) -> Self {
        Self(kind, PhantomData)
    }

    pub(crate) fn put(self, value: &T, cx: &Context, w: &mut Writer<'_>) {
        value.encode(self.0, cx, w);
    }

    pub(crate) fn put_some(self, value: Option<&T>, w: &mut Writer<'_>) {
        if let Some(value) = value {
            value.encode(self.0, &Context::default(), w);
        }
    }
}

/// The boxed rows for serde: no box where none of them is there.
#[cfg(feature = "serde")]
pub(crate) mod boxed {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<T: Serialize, S: Serializer>(
        rows: &Option<Box<T>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        rows.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<Box<T>>, D::Error>
    where
        T: Deserialize<'de> + Default + PartialEq,
        D: Deserializer<'de>,
    {
        let rows = T::deserialize(deserializer)?;
        Ok((rows != T::default()).then(|| Box::new(rows)))
    }
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
macro_rules! attributes {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* $cta:ident => $field:ident: $ty:ty,)+
        }
        $(boxed $rare:ident: $rare_ty:ident {
            $($(#[$rare_meta:meta])* $rare_cta:ident => $rare_field:ident: $rare_field_ty:ty,)+
        })?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $ty,)+
            $(
                // Which attributes are boxed is no one's business.
                #[cfg_attr(feature = "serde", serde(flatten, with = "crate::wire::table::boxed"))]
                pub(crate) $rare: Option<Box<$rare_ty>>,
            )?
        }

        // `Flow::mark.put(..)`: the kind of a row, for requests that write one attribute.
        #[allow(non_upper_case_globals, dead_code)]
        impl $name {
            $(pub(crate) const $field:
                $crate::wire::table::Kind<<$ty as $crate::wire::table::Row>::Inner> =
                $crate::wire::table::Kind::new($crate::wire::uapi::$cta);)+
        }

        impl $name {
            #[inline]
            pub(crate) fn read(
                mut attributes: $crate::wire::attr::Attributes<'_>,
                cx: &mut $crate::wire::table::Context,
            ) -> Result<Self, $crate::wire::attr::DecodeError> {
                use $crate::wire::table::Row;
                $(let mut $field = <$ty as Row>::Slot::default();)+
                $(let mut $rare: Option<Box<$rare_ty>> = None;)?
                while let Some(attr) = attributes.next()? {
                    match attr.kind {
                        $($crate::wire::uapi::$cta => <$ty as Row>::read(&mut $field, attr, cx)?,)+
                        _ => { $($rare_ty::accept(&mut $rare, attr, cx)?;)? }
                    }
                }
                Ok(Self {
                    $($field: <$ty as Row>::finish($field, $crate::wire::uapi::$cta, cx)?,)+
                    $($rare,)?
                })
            }

            pub(crate) fn write(
                &self,
                cx: &$crate::wire::table::Context,
                w: &mut $crate::wire::attr::Writer<'_>,
            ) {
                use $crate::wire::table::Row;
                $(<$ty as Row>::write(&self.$field, $crate::wire::uapi::$cta, cx, w);)+
                $(if let Some(rare) = &self.$rare {
                    $(Row::write(&rare.$rare_field, $crate::wire::uapi::$rare_cta, cx, w);)+
                })?
            }

            $($(
                $(#[$rare_meta])*
                pub fn $rare_field(&self) -> Option<&$rare_field_ty> {
                    self.$rare.as_ref()?.$rare_field.as_ref()
                }
            )+)?
        }

        impl $crate::wire::table::Codec for $name {
            #[inline]
            fn decode(
                attr: $crate::wire::attr::Attribute<'_>,
                cx: &mut $crate::wire::table::Context,
            ) -> Result<Self, $crate::wire::attr::DecodeError> {
                Self::read(attr.nest(), cx)
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
            #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
            pub(crate) struct $rare_ty {
                $(
                    #[cfg_attr(
                        feature = "serde",
                        serde(default, skip_serializing_if = "Option::is_none")
                    )]
                    pub(crate) $rare_field: Option<$rare_field_ty>,
                )+
            }

            #[allow(non_upper_case_globals, dead_code)]
            impl $rare_ty {
                $(pub(crate) const $rare_field: $crate::wire::table::Kind<$rare_field_ty> =
                    $crate::wire::table::Kind::new($crate::wire::uapi::$rare_cta);)+
            }

            impl $rare_ty {
                /// Takes an attribute of its rows in; any other is one that this version does
                /// not know, and is passed over.
                fn accept(
                    slot: &mut Option<Box<Self>>,
                    attr: $crate::wire::attr::Attribute<'_>,
                    cx: &mut $crate::wire::table::Context,
                ) -> Result<(), $crate::wire::attr::DecodeError> {
                    match attr.kind {
                        $($crate::wire::uapi::$rare_cta => {
                            let value = $crate::wire::table::Codec::decode(attr, cx)?;
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
