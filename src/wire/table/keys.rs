//! `attribute_keys!`: the serde form of a table's rows, for [`attributes!`].

/// A value that may be left out in text formats.
pub(crate) trait Absent {
    /// Returns `true` if the value is left out.
    fn is_absent(&self) -> bool {
        false
    }
}

impl<T> Absent for Option<T> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

/// The options of a row that concern its key: see `row!`.
macro_rules! key {
    (form $ty:ty; of $direction:ident, inverse $of:ident) => {
        Option<$ty>
    };
    (form $ty:ty; with $second:ident) => {
        Option<($ty, $ty)>
    };
    (form $ty:ty; $($other:tt)*) => {
        $ty
    };
    (send $it:ident $field:ident; of $direction:ident, inverse $of:ident) => {
        Some($it.$field).filter(|it| *it != $it.$of.inverse())
    };
    (send $it:ident $field:ident; with $second:ident) => {
        Some(($it.$field.clone(), $it.$second.clone()))
            .filter(|(first, second)| first.is_some() || second.is_some())
    };
    (send $it:ident $field:ident; in $first:ident) => {
        None
    };
    (send $it:ident $field:ident; $($other:tt)*) => {
        $it.$field.clone()
    };
    (receive $it:ident $field:ident; of $direction:ident, inverse $of:ident) => {
        $it.$field.unwrap_or_else(|| $it.$of.inverse())
    };
    (receive $it:ident $field:ident; with $second:ident) => {
        $it.$field.as_ref().and_then(|both| both.0.clone())
    };
    (receive $it:ident $field:ident; in $first:ident) => {
        $it.$first.as_ref().and_then(|both| both.1.clone())
    };
    (receive $it:ident $field:ident; $($other:tt)*) => {
        $it.$field
    };
    (length $field:ident, $value:expr; max $max:literal) => {
        if $crate::wire::attr::Length::length($value) > $max {
            return Err(::serde::de::Error::custom(concat!(
                stringify!($field),
                ": longer than ",
                stringify!($max),
                " bytes"
            )));
        }
    };
    (length $field:ident, $value:expr; $($other:tt)*) => {};
}

/// In serde, the boxed fields are on the same level as the others. Text formats leave absent fields
/// out. Binary formats have no keys, and contain every field in order.
macro_rules! attribute_keys {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* $cta:ident $([$($says:tt)+])? => $field:ident: $ty:ty $(as $with:literal)? $(= [$($serde:tt)+])?,)+
        }
        $(boxed $rare:ident: $rare_ty:ident {
            $($(#[$rare_meta:meta])* $rare_cta:ident => $rare_field:ident, $rare_set:ident: $rare_field_ty:ty $(as $rare_with:literal)?,)+
        })?
        $(in order $order:tt)?
    ) => {
        const _: () = {
            #[derive(::serde::Serialize, ::serde::Deserialize)]
            #[serde(deny_unknown_fields)]
            #[allow(dead_code, reason = "the second of two is in the first")]
            struct Text {
                $(
                    #[serde(skip_serializing_if = "crate::wire::table::Absent::is_absent")]
                    $(#[serde(with = $with)])?
                    $(#[serde($($serde)+)])?
                    $field: key!(form $ty; $($($says)+)?),
                )+
                $($(
                    #[serde(skip_serializing_if = "Option::is_none")]
                    $(#[serde(default, with = $rare_with)])?
                    $rare_field: Option<$rare_field_ty>,
                )+)?
            }

            #[derive(::serde::Serialize, ::serde::Deserialize)]
            struct Binary {
                $($(#[serde(with = $with)])? $field: $ty,)+
                $($($(#[serde(with = $rare_with)])? $rare_field: Option<$rare_field_ty>,)+)?
            }

            impl ::serde::Serialize for $name {
                fn serialize<S: ::serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                    let it = self;
                    match to.is_human_readable() {
                        true => Text {
                            $($field: key!(send it $field; $($($says)+)?),)+
                            $($($rare_field: it.$rare_field().cloned(),)+)?
                        }
                        .serialize(to),
                        false => Binary {
                            $($field: it.$field.clone(),)+
                            $($($rare_field: it.$rare_field().cloned(),)+)?
                        }
                        .serialize(to),
                    }
                }
            }

            impl<'de> ::serde::Deserialize<'de> for $name {
                fn deserialize<D: ::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                    let it = match from.is_human_readable() {
                        true => {
                            let it = Text::deserialize(from)?;
                            Binary {
                                $($field: key!(receive it $field; $($($says)+)?),)+
                                $($($rare_field: it.$rare_field,)+)?
                            }
                        }
                        false => Binary::deserialize(from)?,
                    };
                    $($(key!(length $field, &it.$field; $($says)+);)?)+
                    Ok(Self {
                        $($field: it.$field,)+
                        $($rare: {
                            let rare = $rare_ty { $($rare_field: it.$rare_field,)+ };
                            (rare != $rare_ty::default()).then(|| Box::new(rare))
                        },)?
                    })
                }
            }
        };
    };
}
