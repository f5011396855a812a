//! A model of the kernels: which flows a dump's request makes each of them hand over, which flows a
//! flush or a delete makes it remove, and what it refuses. It reads the bytes of the request, and
//! knows nothing of how they came about.

mod bugs;
mod remove;
mod tuple;

use crate::flow::Flow;
use crate::wire::attr::{Attribute, Attributes};
use crate::wire::message::Frame;
use crate::wire::uapi::*;

/// A kernel: its release, and whether it is built with marks and with zones.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kernel {
    pub(crate) release: (u16, u16),
    pub(crate) marks: bool,
    pub(crate) zones: bool,
}

/// Those between which a request changes its meaning, and those in wide use.
pub(crate) const RELEASES: [(u16, u16); 14] = [
    (4, 19),
    (5, 2),
    (5, 3),
    (5, 4),
    (5, 8),
    (5, 10),
    (5, 15),
    (6, 1),
    (6, 6),
    (6, 8),
    (6, 10),
    (6, 11),
    (6, 12),
    (6, 18),
];

/// A request as the kernel reads it.
#[derive(Clone, Copy)]
struct Message<'a> {
    family: u8,
    version: u8,
    attributes: Attributes<'a>,
}

impl<'a> Message<'a> {
    fn new(request: &'a [u8], kind: u16) -> Self {
        let frame = Frame::first(request).expect("a message").expect("whole");
        assert_eq!(frame.kind, kind);
        Self {
            family: request[16],
            version: request[17],
            attributes: frame.attributes().expect("attributes"),
        }
    }

    fn find(&self, kind: u16) -> Option<Attribute<'a>> {
        find(self.attributes, kind)
    }

    fn has(&self, kind: u16) -> bool {
        self.find(kind).is_some()
    }

    fn number(&self, kind: u16) -> Option<u32> {
        self.find(kind).map(|attr| attr.get().expect("a number"))
    }
}

fn find(mut attributes: Attributes<'_>, kind: u16) -> Option<Attribute<'_>> {
    while let Some(attr) = attributes.next().expect("attributes") {
        if attr.kind == kind {
            return Some(attr);
        }
    }
    None
}

impl Kernel {
    /// One with all that the release has.
    pub(crate) fn of(release: (u16, u16)) -> Self {
        Self {
            release,
            marks: true,
            zones: true,
        }
    }

    /// Each release, whole, without marks and without zones.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let builds = |release| {
            let whole = Self::of(release);
            let marks = Self {
                marks: false,
                ..whole
            };
            let zones = Self {
                zones: false,
                ..whole
            };
            [whole, marks, zones]
        };
        RELEASES.into_iter().flat_map(builds)
    }

    fn since(&self, major: u16, minor: u16) -> bool {
        self.release >= (major, minor)
    }

    /// Does it hand the flow over in a dump? An errno where it refuses the request.
    pub(crate) fn hands_over(&self, request: &[u8], flow: &Flow) -> Result<bool, i32> {
        let message = Message::new(request, IPCTNL_MSG_CT_GET);
        self.keeps(&message, message.family, flow)
    }

    /// Does the flow meet the conditions of a dump or a flush of this family?
    /// (ctnetlink_alloc_filter, ctnetlink_filter_match.)
    fn keeps(&self, message: &Message<'_>, family: u8, flow: &Flow) -> Result<bool, i32> {
        // Then it does not look at the masks either (ctnetlink_needs_filter).
        let is_plain = family == AF_UNSPEC
            && ![CTA_MARK, CTA_STATUS, CTA_FILTER]
                .iter()
                .any(|it| message.has(*it))
            && !(message.has(CTA_ZONE) && self.since(6, 8));
        if is_plain {
            return Ok(true);
        }
        let keeps = [
            family == AF_UNSPEC || family == flow.family().number(),
            self.mark(message, flow)?,
            self.status(message, flow)?,
            self.zone(message, flow)?,
            self.tuples(message, family, flow)?,
        ];
        Ok(!keeps.contains(&false))
    }

    fn mark(&self, message: &Message<'_>, flow: &Flow) -> Result<bool, i32> {
        let (mark, mask) = (message.number(CTA_MARK), message.number(CTA_MARK_MASK));
        let (mark, mask) = match (mark, mask) {
            _ if !self.marks => return Ok(true),
            (None, Some(_)) if self.since(5, 15) => return Err(EINVAL),
            (Some(mark), None) if self.since(5, 15) => (mark, u32::MAX),
            (Some(mark), Some(mask)) => (mark, mask),
            _ => return Ok(true),
        };
        Ok(flow.mark.unwrap_or(0) & mask == mark)
    }

    fn status(&self, message: &Message<'_>, flow: &Flow) -> Result<bool, i32> {
        let (status, mask) = (message.number(CTA_STATUS), message.number(CTA_STATUS_MASK));
        match (status, mask) {
            _ if !self.since(5, 15) => Ok(true),
            (None, None) => Ok(true),
            (None, Some(_)) => Err(EINVAL),
            (Some(status), mask) => match mask.unwrap_or(status) {
                0 => Err(EINVAL),
                mask => Ok(flow.status.bits() & mask == status),
            },
        }
    }

    fn zone(&self, message: &Message<'_>, flow: &Flow) -> Result<bool, i32> {
        let zone = match message.find(CTA_ZONE) {
            Some(zone) if self.since(6, 8) => zone.get::<u16>().expect("a zone"),
            _ => return Ok(true),
        };
        match self.zones {
            true => Ok(zone == flow.zone.id()),
            false => Err(EOPNOTSUPP),
        }
    }

    fn tuples(&self, message: &Message<'_>, family: u8, flow: &Flow) -> Result<bool, i32> {
        let filter = match message.find(CTA_FILTER) {
            Some(filter) if self.since(5, 8) => filter,
            _ => return Ok(true),
        };
        if message.has(CTA_ZONE) && !self.zones {
            return Err(EOPNOTSUPP);
        }
        let mut keeps = true;
        for (flags, kind, tuple) in [
            (CTA_FILTER_ORIG_FLAGS, CTA_TUPLE_ORIG, &flow.orig),
            (CTA_FILTER_REPLY_FLAGS, CTA_TUPLE_REPLY, &flow.reply),
        ] {
            let flags = find(filter.nest(), flags).map_or(0, |attr| {
                u32::from_ne_bytes(attr.payload.try_into().expect("four bytes"))
            });
            keeps &= tuple::has_fields(flags, message.find(kind), family, tuple)?;
        }
        Ok(keeps)
    }
}
