//! The filters of dumps and flushes.

use super::attrs::{self, Attrs};
use super::entry::Entry;
use super::machine::{Machine, Message};
use super::release::Version;
use super::tuple::{Tuple, Zone};
use crate::wire::uapi::*;

/// `ctnetlink_filter`.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    family: u8,
    mark: (u32, u32),
    status: (u32, u32),
    zone: Option<u16>,
    /// Does the kernel invert the comparison of addresses?
    inverts: bool,
    /// The tuple of each direction, and the fields to compare.
    tuples: [Option<(Tuple, u32)>; 2],
}

/// The first release with this errno for a refused `CTA_FILTER`.
const INVALID: Version = (5, 15);
const ALL_FIELDS: u32 = 0xfff;

impl Machine {
    /// The filter of a request; `None` if it has none (`ctnetlink_alloc_filter`).
    pub(super) fn filter(&self, message: &Message<'_>, family: u8) -> Result<Option<Filter>, i32> {
        let given = &message.attrs;
        let release = &self.release;
        let needed = family != AF_UNSPEC
            || given.has(CTA_MARK)
            || (given.has(CTA_STATUS) && release.status_filter)
            || (given.has(CTA_FILTER) && release.tuple_filter)
            || (given.has(CTA_ZONE) && release.zone_filter);
        if !needed {
            return Ok(None);
        }
        let mut filter = Filter {
            family,
            inverts: release.inverts_ipv6 && family == AF_INET6,
            ..Filter::default()
        };
        if release.marks {
            filter.mark = match (given.u32(CTA_MARK), given.u32(CTA_MARK_MASK)) {
                (Some(mark), Some(mask)) => (mark, mask),
                (Some(mark), None) if release.bare_mark => (mark, u32::MAX),
                (None, Some(_)) if release.bare_mark => return Err(EINVAL),
                _ => (0, 0),
            };
        }
        if release.status_filter {
            filter.status = match (given.u32(CTA_STATUS), given.u32(CTA_STATUS_MASK)) {
                (None, None) => (0, 0),
                (None, Some(_)) => return Err(EINVAL),
                (Some(status), mask) => match mask.unwrap_or(status) {
                    0 => return Err(EINVAL),
                    mask => (status, mask),
                },
            };
        }
        let mut zone = Zone::default();
        if release.zone_filter && given.has(CTA_ZONE) {
            zone = self.zone(message)?;
        }
        if let Some(nest) = given.get(CTA_FILTER).filter(|_| release.tuple_filter) {
            let fields = fields(release.version, nest, given.is_marked_nested(CTA_FILTER))?;
            for (direction, kind) in [CTA_TUPLE_ORIG, CTA_TUPLE_REPLY].into_iter().enumerate() {
                if fields[direction] == 0 {
                    continue;
                }
                let tuple = given.get(kind).ok_or(EINVAL)?;
                let place = Some((&mut zone, direction));
                let tuple = Tuple::parse(release, tuple, family, fields[direction], place)?;
                filter.tuples[direction] = Some((tuple, fields[direction]));
            }
        }
        // With a zone outside the tuples, a zone inside a tuple counts for the whole filter.
        filter.zone = (release.zone_filter && given.has(CTA_ZONE)).then_some(zone.id);
        Ok(Some(filter))
    }
}

/// The fields of each direction. Only this nest is parsed strictly.
fn fields(version: Version, nest: &[u8], marked: bool) -> Result<[u32; 2], i32> {
    let refusal = if version >= INVALID {
        EINVAL
    } else {
        EOPNOTSUPP
    };
    let mut whole = nest;
    while !whole.is_empty() {
        let &[l0, l1, k0, k1] = whole.first_chunk().ok_or(EINVAL)?;
        let len = usize::from(u16::from_ne_bytes([l0, l1]));
        let kind = u16::from_ne_bytes([k0, k1]) & NLA_TYPE_MASK;
        let payload = whole.get(4..len).ok_or(EINVAL)?;
        if payload.len() != 4 || !(1..=2).contains(&kind) {
            return Err(EINVAL);
        }
        whole = &whole[len..];
    }
    if !marked {
        return Err(EINVAL);
    }
    let parsed = Attrs::parse(nest, attrs::NUMBERS, u16::MAX)?;
    let fields = [CTA_FILTER_ORIG_FLAGS, CTA_FILTER_REPLY_FLAGS]
        .map(|kind| parsed.array(kind).map_or(0, u32::from_ne_bytes));
    match fields.iter().any(|fields| fields & !ALL_FIELDS != 0) {
        true => Err(refusal),
        false => Ok(fields),
    }
}

impl Filter {
    /// `ctnetlink_filter_match`.
    pub(super) fn matches(&self, flow: &Entry) -> bool {
        let family = self.family == AF_UNSPEC || self.family == flow.family();
        let zone = self.zone.is_none_or(|id| id == flow.zone.id);
        let (mark, mark_mask) = self.mark;
        let (status, status_mask) = self.status;
        let mut tuples = self.tuples.iter().zip(&flow.tuples);
        family
            && zone
            && flow.mark & mark_mask == mark
            && flow.status & status_mask == status
            && tuples.all(|(given, own)| {
                given.is_none_or(|(given, fields)| own.has_fields_of(&given, fields, self.inverts))
            })
    }
}
