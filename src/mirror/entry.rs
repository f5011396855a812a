//! A flow as the mirror stores it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::learnt::Learnt;
use crate::flow::{Direction, Flow, FlowKey, Helper, Rare, SecCtx, Timestamp, Tuple};

/// The identity of a flow: its original tuple and the zone of that direction. Or, for replies, its
/// reply tuple and the zone of that direction. With a reference, it is the key of a flow that is
/// somewhere already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key<T = Tuple> {
    pub(super) tuple: T,
    pub(super) zone: u16,
}

impl<'a> Key<&'a Tuple> {
    pub(super) fn orig(flow: &'a Flow) -> Self {
        Self {
            tuple: &flow.orig,
            zone: flow.zone.id_of(Direction::Orig),
        }
    }

    pub(super) fn reply(flow: &'a Flow) -> Self {
        Self {
            tuple: &flow.reply,
            zone: flow.zone.id_of(Direction::Reply),
        }
    }

    /// The key of the flow's replies, if that is not just the inverse.
    pub(super) fn of_replies(flow: &'a Flow) -> Option<Self> {
        let (orig, reply) = (Self::orig(flow), Self::reply(flow));
        let is_plain = orig.zone == reply.zone && orig.tuple.is_inverse_of(reply.tuple);
        (!is_plain).then_some(reply)
    }

    pub(super) fn named(key: &'a FlowKey) -> Self {
        Self {
            tuple: key.tuple(),
            zone: key.zone_id(),
        }
    }

    pub(super) fn owned(self) -> Key {
        Key {
            tuple: *self.tuple,
            zone: self.zone,
        }
    }

    /// The key of the other direction, if there is no NAT.
    pub(super) fn inverse(self) -> Key {
        Key {
            tuple: self.tuple.inverse(),
            zone: self.zone,
        }
    }
}

impl Key {
    pub(super) fn by_ref(&self) -> Key<&Tuple> {
        Key {
            tuple: &self.tuple,
            zone: self.zone,
        }
    }
}

/// A flow as it is stored.
///
/// The fields that every flow has are stored inline. Names that many flows share are stored once. An
/// entry is four lines of the processor's cache, and no line has parts of two.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(super) struct Entry {
    /// The flow without the parts that the notes contain.
    flow: Flow,
    pub(super) notes: Notes,
}

/// What the mirror notes about a flow. Times are whole seconds of the mirror's clock.
#[derive(Debug, Clone)]
pub(super) struct Notes {
    names: Option<Arc<Names>>,
    /// Nanoseconds since 1970.
    start: Option<NonZeroU64>,
    /// The round of its last event, list or lookup.
    pub(super) touched: u32,
    pub(super) heard: Heard,
}

/// The time of a flow's last event, list or lookup, and what is unknown since. All of it is one
/// number, because an entry has no room for more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard(u32);

/// A version of a flow, stored or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Version<'a> {
    flow: &'a Flow,
    notes: &'a Notes,
}

/// Names from the kernel that many flows share.
#[derive(Debug, PartialEq, Eq, Hash, Default)]
struct Names {
    helper: Option<Helper>,
    secctx: Option<SecCtx>,
}

/// Stores each combination of names once.
#[derive(Debug, Default)]
pub(super) struct Interner {
    kept: HashSet<Arc<Names>>,
    /// The number of entries at which unused ones are removed.
    most: usize,
}

impl Notes {
    /// Moves out of the flow what is not stored with it. `now` is the time of the mirror's clock.
    pub(super) fn of(flow: &mut Flow, names: &mut Interner, now: u32) -> Self {
        flow.use_count = None;
        let (mut start, mut shared) = (None, None);
        if flow.rare.is_some() {
            flow.set_event_timestamp(None);
            start = flow.timestamp().and_then(|it| nanos(it.start));
            if start.is_some() {
                flow.set_timestamp(None);
            }
            shared = names.take_of(flow);
        }
        Self {
            names: shared,
            start,
            touched: 0,
            heard: Heard::at(now),
        }
    }

    /// Adds what messages may leave out, from the notes on the version before.
    pub(super) fn keep(&mut self, before: &Self) {
        self.start = self.start.or(before.start);
        let by_events = self.heard.by_events() && before.heard.by_events();
        self.heard.set_by_events(by_events);
    }

    /// The rare parts of a flow, with those that are not stored with it.
    #[cold]
    fn rare_of(&self, flow: &Flow) -> Option<Box<Rare>> {
        let rare = flow.rare.clone();
        let mut flow = Flow {
            rare,
            ..Flow::blank()
        };
        if let Some(start) = self.start {
            flow.set_timestamp(Timestamp {
                start: UNIX_EPOCH + Duration::from_nanos(start.get()),
                stop: None,
            });
        }
        if let Some(names) = &self.names {
            if let Some(helper) = &names.helper {
                flow.set_helper(helper.clone());
            }
            if let Some(secctx) = &names.secctx {
                flow.set_secctx(secctx.clone());
            }
        }
        flow.rare
    }
}

impl Heard {
    const LACKING: u32 = 1;
    const BY_EVENTS: u32 = 2;
    const FLAGS: u32 = 2;

    fn at(now: u32) -> Self {
        // After 34 years, it stays the same.
        Self(now.min(u32::MAX >> Self::FLAGS) << Self::FLAGS)
    }

    pub(super) fn time(self) -> u32 {
        self.0 >> Self::FLAGS
    }

    /// The seconds since then.
    fn ago(self, now: u32) -> u32 {
        now.saturating_sub(self.time())
    }

    /// Is some part unknown that a lookup would find out?
    pub(super) fn is_lacking(self) -> bool {
        self.0 & Self::LACKING != 0
    }

    /// Is it known by events alone?
    pub(super) fn by_events(self) -> bool {
        self.0 & Self::BY_EVENTS != 0
    }

    pub(super) fn set_lacking(&mut self, is_lacking: bool) {
        self.set(Self::LACKING, is_lacking);
    }

    pub(super) fn set_by_events(&mut self, by_events: bool) {
        self.set(Self::BY_EVENTS, by_events);
    }

    fn set(&mut self, flag: u32, is_set: bool) {
        self.0 = self.0 & !flag | if is_set { flag } else { 0 };
    }
}

impl<'a> Version<'a> {
    pub(super) fn new(flow: &'a Flow, notes: &'a Notes) -> Self {
        Self { flow, notes }
    }

    pub(super) fn notes(self) -> &'a Notes {
        self.notes
    }

    /// The complete flow, with the time that it has left now.
    #[inline(always)]
    pub(super) fn show(self, now: u32) -> Flow {
        let Self { flow, notes } = self;
        let since = Duration::from_secs(notes.heard.ago(now).into());
        let is_common = flow.rare.is_none() && notes.start.is_none() && notes.names.is_none();
        Flow {
            timeout: flow.timeout.map(|left| left.saturating_sub(since)),
            protoinfo: flow.protoinfo.clone(),
            rare: if is_common { None } else { notes.rare_of(flow) },
            // These are copied to where they are returned.
            ..*flow
        }
    }

    /// Are the two the same, except for fields that change without an event?
    pub(super) fn says_same_as(self, other: Self) -> bool {
        let (one, two) = (self.flow, other.flow);
        one.status == two.status
            && one.mark == two.mark
            && one.protoinfo == two.protoinfo
            && one.labels == two.labels
            && one.id == two.id
            && one.orig == two.orig
            && one.reply == two.reply
            && one.zone == two.zone
            && one.synproxy == two.synproxy
            && one.rare == two.rare
            && self.notes.start == other.notes.start
            && self.notes.names == other.notes.names
    }
}

impl Entry {
    /// Moves the flow to where it is stored. What is left in `flow` is of no use: to make it blank
    /// would take as long as the move.
    #[inline]
    pub(super) fn of(flow: &mut Flow, notes: Notes) -> Self {
        let flow = Flow {
            protoinfo: flow.protoinfo.take(),
            rare: flow.rare.take(),
            ..*flow
        };
        Self { flow, notes }
    }

    /// The complete flow, with the time that it has left now.
    #[inline]
    pub(super) fn show(&self, now: u32) -> Flow {
        self.version().show(now)
    }

    pub(super) fn version(&self) -> Version<'_> {
        Version::new(&self.flow, &self.notes)
    }

    /// The flow, to be merged with a message. The start time is left out.
    pub(super) fn to_merge(&self) -> Cow<'_, Flow> {
        match self.notes.names {
            None => Cow::Borrowed(&self.flow),
            Some(_) => Cow::Owned(self.show(0)),
        }
    }

    /// Must the flow be looked up?
    pub(super) fn is_in_doubt(&self, learnt: &Learnt) -> bool {
        let may_lack = || !learnt.is_known || learnt.lacks(&self.flow);
        self.notes.heard.is_lacking() || self.notes.heard.by_events() && may_lack()
    }

    /// Has its time passed, and nothing refreshed it? The kernel rounds down to whole seconds.
    pub(super) fn is_over(&self, now: u32) -> bool {
        let since = u64::from(self.notes.heard.ago(now));
        self.flow.timeout.is_some_and(|left| since > left.as_secs())
    }

    /// The flow without a copy. It lacks the helper, the security context and the start time, and
    /// its timeout is as it was reported.
    pub(super) fn bare(&self) -> &Flow {
        &self.flow
    }

    /// Reads something of each part of the entry's memory.
    pub(super) fn warm(&self) -> u32 {
        let mark = self.flow.mark.unwrap_or_default();
        let packets = self.flow.counters_reply.map_or(0, |it| it.packets as u32);
        let tuples = [self.flow.orig, self.flow.reply].map(|it| u32::from(it.protocol().number()));
        self.notes.touched ^ self.flow.status.bits() ^ mark ^ packets ^ tuples[0] ^ tuples[1]
    }

    pub(super) fn key(&self) -> Key<&Tuple> {
        Key::orig(&self.flow)
    }

    // Not a part of the loop that looks at places: usually it is called once.
    #[inline(never)]
    pub(super) fn has_key(&self, key: Key<&Tuple>) -> bool {
        self.key() == key
    }

    pub(super) fn has_reply_key(&self, key: Key<&Tuple>) -> bool {
        Key::reply(&self.flow) == key
    }

    /// The key of its replies, if that is not just the inverse.
    pub(super) fn reply_key(&self) -> Option<Key<&Tuple>> {
        Key::of_replies(&self.flow)
    }
}

impl Interner {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Moves the shared names out of the flow.
    fn take_of(&mut self, flow: &mut Flow) -> Option<Arc<Names>> {
        // The private data of a helper in user space belongs to one flow.
        let is_common = flow.helper().is_some_and(|helper| helper.info.is_none());
        let helper = flow.helper().filter(|_| is_common).cloned();
        let secctx = flow.secctx().cloned();
        if helper.is_none() && secctx.is_none() {
            return None;
        }
        if is_common {
            flow.set_helper(None);
        }
        flow.set_secctx(None);
        let names = Names { helper, secctx };
        if let Some(kept) = self.kept.get(&names) {
            return Some(kept.clone());
        }
        const FEW: usize = 64;
        if self.kept.len() >= self.most.max(FEW) {
            self.kept.retain(|names| Arc::strong_count(names) > 1);
            self.most = 2 * self.kept.len();
        }
        let names = Arc::new(names);
        self.kept.insert(names.clone());
        Some(names)
    }
}

fn nanos(time: SystemTime) -> Option<NonZeroU64> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    NonZeroU64::new(u64::try_from(since.as_nanos()).ok()?)
}
