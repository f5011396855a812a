//! Serde for the parts of requests: a key, a patch, a new flow. In text formats, an absent part has
//! no key, and an unknown key is refused, because its meaning would be lost. Binary formats have no
//! keys, and each part has its place.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Direction, FlowId, FlowKey, Nat, NewFlow, Patch, Tuple, Zone};

/// The required fields, the optional fields, and the way to build the type from them.
macro_rules! forms {
    (
        $type:ident, $from:ident, $it:ident => $back:expr;
        [$($need:ident: $need_ty:ty = $need_get:expr;)*]
        [$($own:ident: $own_ty:ty = $own_get:expr;)*]
        $($(#[$meta:meta])* $field:ident, $get:ident: $ty:ty $(as $with:literal)?;)*
    ) => {
        const _: () = {
            #[derive(Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Text {
                $($need: $need_ty,)*
                $(#[serde(skip_serializing_if = "Option::is_none")] $own: Option<$own_ty>,)*
                $(
                    #[serde(skip_serializing_if = "Option::is_none")]
                    $(#[serde(default, with = $with)])?
                    $field: Option<$ty>,
                )*
            }

            #[derive(Serialize, Deserialize)]
            struct Binary {
                $($need: $need_ty,)*
                $($own: Option<$own_ty>,)*
                $($(#[serde(with = $with)])? $field: Option<$ty>,)*
            }

            impl Serialize for $type {
                fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                    let $from = self;
                    let it = Text {
                        $($need: $need_get,)*
                        $($own: $own_get,)*
                        $($field: $from.$get().cloned(),)*
                    };
                    if to.is_human_readable() {
                        return it.serialize(to);
                    }
                    Binary {
                        $($need: it.$need,)*
                        $($own: it.$own,)*
                        $($field: it.$field,)*
                    }
                    .serialize(to)
                }
            }

            impl<'de> Deserialize<'de> for $type {
                fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                    let $it = match from.is_human_readable() {
                        true => Text::deserialize(from)?,
                        false => {
                            let it = Binary::deserialize(from)?;
                            Text {
                                $($need: it.$need,)*
                                $($own: it.$own,)*
                                $($field: it.$field,)*
                            }
                        }
                    };
                    #[allow(unused_mut)]
                    let mut patch = Patch::new();
                    $(patch.$field = $it.$field;)*
                    Ok($back(patch))
                }
            }
        };
    };
}

forms! {
    FlowKey, key, it => |_| {
        let zone = it.zone.unwrap_or_default();
        let key = match it.direction {
            Some(Direction::Reply) => FlowKey::reply(it.tuple).zone(zone),
            _ => FlowKey::orig(it.tuple).zone(zone),
        };
        match it.id {
            Some(id) => key.id(id),
            None => key,
        }
    };
    [tuple: Tuple = *key.tuple();]
    [direction: Direction = Some(key.direction()).filter(|it| *it != Direction::Orig);
    zone: Zone = Some(key.get_zone()).filter(|it| *it != Zone::default());
    id: FlowId = key.get_id();]
}

settings! {
    forms! {
        Patch, patch, it => |patch| patch;
        [] []
    }
}

settings! {
    forms! {
        NewFlow, flow, it => |settings| NewFlow {
            orig: it.orig,
            reply: it.reply.unwrap_or(it.orig.inverse()),
            zone: it.zone.unwrap_or_default(),
            master: it.master,
            source_nat: it.source_nat,
            destination_nat: it.destination_nat,
            settings,
        };
        [orig: Tuple = *flow.orig();]
        [reply: Tuple = Some(*flow.get_reply()).filter(|it| *it != flow.orig().inverse());
        zone: Zone = Some(flow.get_zone()).filter(|it| *it != Zone::default());
        master: Tuple = flow.get_master().copied();
        source_nat: Nat = flow.get_source_nat().copied();
        destination_nat: Nat = flow.get_destination_nat().copied();]
    }
}
