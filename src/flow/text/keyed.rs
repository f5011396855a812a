//! Structs of named fields for serde.

/// Serialize and Deserialize for a struct of named fields. In text, those in the second list have no
/// key where they are their default, and a key that is not known is refused; binary formats have no
/// keys, and each field its place.
macro_rules! keyed {
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
