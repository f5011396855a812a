//! The key that names one flow of the table.

use super::{Flow, FlowId, NewFlow, Tuple, Zone, ZoneDirection};
use crate::wire::attr::Writer;

/// One direction of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Direction {
    /// Packets from the side that started the flow.
    Orig,
    /// Packets from the other side.
    Reply,
}

/// Names one flow: a tuple and its direction, the zone, and the id if it is known.
///
/// Converts from a [`&Flow`](Flow) (original tuple, zone and id), from a [`Tuple`] (original
/// direction, zone 0), from a [`&NewFlow`](NewFlow), or from [`FlowKey::reply`].
///
/// The kernel ignores the direction when it looks up a flow. If the other side may have started the
/// flow (IKE, NTP and SIP use the same port on both ends), a tuple finds that flow too. A get and a
/// delete check that the flow is the one that the key names; an update changes the flow that the
/// kernel finds.
///
/// ```
/// # use ctnetlink::{FlowKey, Tuple};
/// let seen = Tuple::tcp("10.0.0.2:443".parse()?, "10.0.0.1:4000".parse()?)?;
/// let key = FlowKey::reply(seen).zone(5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowKey {
    tuple: Tuple,
    direction: Direction,
    zone: Zone,
    id: Option<FlowId>,
}

impl FlowKey {
    /// The flow whose original tuple this is.
    pub fn orig(tuple: Tuple) -> Self {
        Self {
            tuple,
            direction: Direction::Orig,
            zone: Zone::default(),
            id: None,
        }
    }

    /// The flow whose reply tuple this is, as it stands in [`Flow::reply`](field@Flow::reply).
    pub fn reply(tuple: Tuple) -> Self {
        Self {
            direction: Direction::Reply,
            ..Self::orig(tuple)
        }
    }

    /// Sets the zone; the default is zone 0.
    #[must_use]
    pub fn zone(self, zone: impl Into<Zone>) -> Self {
        Self {
            zone: zone.into(),
            ..self
        }
    }

    /// Sets the id. Only a get and a delete compare it. A later flow with the same tuple can have
    /// the same id: see [`Flow::id`](field@Flow::id).
    #[must_use]
    pub fn id(self, id: FlowId) -> Self {
        Self {
            id: Some(id),
            ..self
        }
    }

    /// The tuple that names the flow.
    pub fn tuple(&self) -> &Tuple {
        &self.tuple
    }

    /// The direction of the tuple.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// The id of the zone in which the tuple of this direction is looked up.
    pub(crate) fn zone_id(&self) -> u16 {
        self.zone.id_of(self.direction)
    }

    /// The zone.
    pub fn get_zone(&self) -> Zone {
        self.zone
    }

    /// The id, if it is known.
    pub fn get_id(&self) -> Option<FlowId> {
        self.id
    }

    #[inline]
    pub(crate) fn has_id(&self) -> bool {
        self.id.is_some()
    }

    /// Returns `true` if the key names this flow. The kernel is less exact: it also finds a flow by
    /// the tuple of its other direction.
    pub(crate) fn names(&self, flow: &Flow) -> bool {
        let tuple = match self.direction {
            Direction::Orig => &flow.orig,
            Direction::Reply => &flow.reply,
        };
        tuple.agrees_with(&self.tuple) && self.may_have_id_of(flow)
    }

    /// Returns `false` if both have an id, and not the same.
    pub(crate) fn may_have_id_of(&self, flow: &Flow) -> bool {
        self.id.is_none() || flow.id.is_none() || self.id == flow.id
    }

    /// Writes the tuple and the zone.
    #[inline]
    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        // The zone of one direction is written in the tuple of that direction.
        let kind = match self.direction {
            Direction::Orig => Flow::orig.number,
            Direction::Reply => Flow::reply.number,
        };
        let (inside, beside) = match (self.zone.id(), self.zone.direction(), self.direction) {
            (0, ..) => (None, None),
            (id, ZoneDirection::Both, _) => (None, Some(id)),
            (id, ZoneDirection::Orig, Direction::Orig)
            | (id, ZoneDirection::Reply, Direction::Reply) => (Some(id), None),
            _ => (None, None),
        };
        self.tuple.put(kind, inside, w);
        Flow::zone.put_some(beside.as_ref(), w);
    }

    /// Writes the id, if there is one.
    pub(crate) fn encode_id(&self, w: &mut Writer<'_>) {
        Flow::id.put_some(self.id.as_ref(), w);
    }
}

impl From<&Flow> for FlowKey {
    fn from(flow: &Flow) -> Self {
        Self {
            zone: flow.zone,
            id: flow.id,
            ..Self::orig(flow.orig)
        }
    }
}

impl From<&NewFlow> for FlowKey {
    /// The key of the flow, once it is created.
    fn from(flow: &NewFlow) -> Self {
        flow.key()
    }
}

impl From<&Tuple> for FlowKey {
    fn from(tuple: &Tuple) -> Self {
        Self::orig(*tuple)
    }
}

impl From<Tuple> for FlowKey {
    fn from(tuple: Tuple) -> Self {
        Self::orig(tuple)
    }
}

impl From<&Self> for FlowKey {
    fn from(key: &Self) -> Self {
        *key
    }
}
