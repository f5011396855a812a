//! Zones: separate parts of the table, for overlapping address ranges.

use super::Direction;
use crate::wire::attr::{DecodeError, Writer};
use crate::wire::table::{Codec, Context, Row};

/// The zone of a flow: an id and the directions that it applies to.
///
/// `-w`, `--orig-zone`, `--reply-zone`; `CTA_ZONE` (Linux 2.6.34), `CTA_TUPLE_ZONE` (4.3). Zone 0
/// is the default; the kernel does not send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Zone {
    id: u16,
    direction: ZoneDirection,
}

/// The directions of a flow that a zone applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum ZoneDirection {
    /// Both directions. Another zone may have a flow with the same tuples.
    #[default]
    Both,
    /// Only the original direction: replies are looked up in zone 0.
    Orig,
    /// Only the reply direction.
    Reply,
}

impl Zone {
    /// Zone `id` in both directions.
    pub const fn new(id: u16) -> Self {
        Self {
            id,
            direction: ZoneDirection::Both,
        }
    }

    /// Zone `id`, only in the original direction.
    pub const fn orig(id: u16) -> Self {
        Self::directed(id, ZoneDirection::Orig)
    }

    /// Zone `id`, only in the reply direction.
    pub const fn reply(id: u16) -> Self {
        Self::directed(id, ZoneDirection::Reply)
    }

    /// Zone 0 is the same zone for every direction.
    const fn directed(id: u16, direction: ZoneDirection) -> Self {
        match id {
            0 => Self::new(0),
            _ => Self { id, direction },
        }
    }

    /// The id of the zone.
    pub const fn id(self) -> u16 {
        self.id
    }

    /// The id of the zone in which a tuple of this direction is looked up.
    pub(crate) fn id_of(self, direction: Direction) -> u16 {
        match (self.direction, direction) {
            (ZoneDirection::Orig, Direction::Reply) | (ZoneDirection::Reply, Direction::Orig) => 0,
            _ => self.id,
        }
    }

    /// The directions that the zone applies to.
    pub const fn direction(self) -> ZoneDirection {
        self.direction
    }

    /// Where the zone is in a message.
    #[inline]
    pub(crate) fn context(self) -> Context {
        let mut cx = Context::default();
        if self.id != 0 {
            let place = match self.direction {
                ZoneDirection::Both => &mut cx.zone,
                ZoneDirection::Orig => &mut cx.zone_orig,
                ZoneDirection::Reply => &mut cx.zone_reply,
            };
            *place = Some(self.id);
        }
        cx
    }
}

impl From<u16> for Zone {
    fn from(id: u16) -> Self {
        Self::new(id)
    }
}

impl Row for Zone {
    type Inner = u16;
    #[inline]
    fn blank() -> Self {
        Self::default()
    }

    fn read(&mut self, payload: &[u8], cx: &mut Context) -> Result<(), DecodeError> {
        let id = u16::decode(payload, cx)?;
        self.set(id, cx);
        Ok(())
    }

    /// The field is set at the end, from the context.
    fn set(&mut self, id: u16, cx: &mut Context) {
        cx.zone = Some(id);
    }

    #[inline]
    fn finish(&mut self, _: bool, cx: &Context) -> Result<(), DecodeError> {
        *self = match cx {
            Context { zone: Some(id), .. } => Self::new(*id),
            Context {
                zone_orig: Some(id),
                ..
            } => Self::orig(*id),
            Context {
                zone_reply: Some(id),
                ..
            } => Self::reply(*id),
            _ => return Ok(()),
        };
        Ok(())
    }

    /// The zone of one direction is written in the tuples.
    fn write(&self, kind: u16, cx: &Context, w: &mut Writer<'_>) {
        if let Some(id) = cx.zone {
            id.encode(kind, cx, w);
        }
    }
}

#[cfg(feature = "serde")]
impl crate::wire::table::Absent for Zone {
    fn is_absent(&self) -> bool {
        *self == Self::default()
    }
}
