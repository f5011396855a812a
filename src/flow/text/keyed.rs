//! Serde for structs with named fields, and for enums of such structs.

/// Implements `Serialize` and `Deserialize` for a struct with named fields. In text formats, a
/// field of the second list has no key if it has its default value, and an unknown key is refused.
/// Binary formats have no keys, and each field has its place. Each variant of an enum is such a
/// struct, under its name in lower case.
macro_rules! keyed {
    (
        enum $name:ident;
        $($variant:ident [$($need:ident: $need_ty:ty,)*] [$($may:ident: $may_ty:ty,)*])+
    ) => {
        const _: () = {
            #[derive(::serde::Serialize, ::serde::Deserialize)]
            #[serde(deny_unknown_fields, rename_all = "snake_case")]
            enum Text {
                $($variant {
                    $($need: $need_ty,)*
                    $(
                        #[serde(default, skip_serializing_if = "crate::flow::text::is_default")]
                        $may: $may_ty,
                    )*
                },)+
            }

            #[derive(::serde::Serialize, ::serde::Deserialize)]
            enum Binary {
                $($variant { $($need: $need_ty,)* $($may: $may_ty,)* },)+
            }

            impl ::serde::Serialize for $name {
                fn serialize<S: ::serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                    let is_text = to.is_human_readable();
                    match self.clone() {
                        $(Self::$variant { $($need,)* $($may,)* } => match is_text {
                            true => Text::$variant { $($need,)* $($may,)* }.serialize(to),
                            false => Binary::$variant { $($need,)* $($may,)* }.serialize(to),
                        },)+
                    }
                }
            }

            impl<'de> ::serde::Deserialize<'de> for $name {
                fn deserialize<D: ::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                    Ok(match from.is_human_readable() {
                        true => match Text::deserialize(from)? {
                            $(Text::$variant { $($need,)* $($may,)* } => {
                                Self::$variant { $($need,)* $($may,)* }
                            })+
                        },
                        false => match Binary::deserialize(from)? {
                            $(Binary::$variant { $($need,)* $($may,)* } => {
                                Self::$variant { $($need,)* $($may,)* }
                            })+
                        },
                    })
                }
            }
        };
    };
    (
        $name:ident;
        [$($need:ident: $need_ty:ty,)*]
        [$($may:ident: $may_ty:ty $(as $with:literal)?,)*]
    ) => {
        const _: () = {
            #[derive(::serde::Serialize, ::serde::Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Text {
                $($need: $need_ty,)*
                $(
                    #[serde(default, skip_serializing_if = "crate::flow::text::is_default")]
                    $(#[serde(with = $with)])?
                    $may: $may_ty,
                )*
            }

            #[derive(::serde::Serialize, ::serde::Deserialize)]
            struct Binary {
                $($need: $need_ty,)*
                $($(#[serde(with = $with)])? $may: $may_ty,)*
            }

            impl ::serde::Serialize for $name {
                fn serialize<S: ::serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                    let Self { $($need,)* $($may,)* } = self.clone();
                    match to.is_human_readable() {
                        true => Text { $($need,)* $($may,)* }.serialize(to),
                        false => Binary { $($need,)* $($may,)* }.serialize(to),
                    }
                }
            }

            impl<'de> ::serde::Deserialize<'de> for $name {
                fn deserialize<D: ::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                    Ok(match from.is_human_readable() {
                        true => {
                            let Text { $($need,)* $($may,)* } = Text::deserialize(from)?;
                            Self { $($need,)* $($may,)* }
                        }
                        false => {
                            let Binary { $($need,)* $($may,)* } = Binary::deserialize(from)?;
                            Self { $($need,)* $($may,)* }
                        }
                    })
                }
            }
        };
    };
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
