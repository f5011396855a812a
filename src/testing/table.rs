//! The table: flows by either tuple, in the order in which they began.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::entry::{DYING, EVERYTHING, Entry, Kind};
use super::machine::{Machine, Message, Outcome, netfilter};
use super::port::DATA;
use super::tuple::{Tuple, WHOLE, Zone};
use crate::wire::uapi::*;

/// The key of a tuple: the tuple, its direction, and the zone of that direction.
type Key = (Tuple, usize, u16);

#[derive(Debug, Default)]
pub(super) struct Table {
    flows: BTreeMap<u64, Entry>,
    tuples: HashMap<Key, u64>,
    by_id: HashMap<u32, u64>,
    made: u64,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.flows.values()
    }

    /// The flows from this number on, with their numbers.
    pub(super) fn from(&mut self, number: u64) -> impl Iterator<Item = (u64, &mut Entry)> {
        self.flows
            .range_mut(number..)
            .map(|(number, flow)| (*number, flow))
    }

    /// The number of the flow that has this tuple in either direction.
    pub(super) fn find(&self, tuple: &Tuple, zone: Zone) -> Option<u64> {
        [0, 1].into_iter().find_map(|direction| {
            let key = (*tuple, direction, zone.in_direction(direction));
            self.tuples.get(&key).copied()
        })
    }

    pub(super) fn get(&self, number: u64) -> Option<&Entry> {
        self.flows.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Entry> {
        self.flows.get_mut(&number)
    }

    pub(super) fn number_of(&self, id: u32) -> Option<u64> {
        self.by_id.get(&id).copied()
    }

    /// An id that was never used.
    pub(super) fn next_id(&mut self) -> u32 {
        self.made += 1;
        // The factor is odd, so that different numbers stay different.
        (self.made as u32).wrapping_mul(0x9e37_79b1)
    }

    pub(super) fn insert(&mut self, flow: Entry) -> u64 {
        let number = self.flows.last_key_value().map_or(0, |(last, _)| last + 1);
        for key in keys(&flow) {
            self.tuples.insert(key, number);
        }
        self.by_id.insert(flow.id, number);
        self.count_child(&flow, 1);
        self.flows.insert(number, flow);
        number
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let flow = self.flows.remove(&number)?;
        for key in keys(&flow) {
            self.tuples.remove(&key);
        }
        self.by_id.remove(&flow.id);
        self.count_child(&flow, u32::MAX);
        Some(flow)
    }

    fn count_child(&mut self, child: &Entry, by: u32) {
        let master = child.master.and_then(|(id, _)| self.number_of(id));
        if let Some(master) = master.and_then(|number| self.flows.get_mut(&number)) {
            master.children = master.children.wrapping_add(by);
        }
    }
}

fn keys(flow: &Entry) -> [Key; 2] {
    [0, 1].map(|direction| {
        let zone = flow.zone.in_direction(direction);
        (flow.tuples[direction], direction, zone)
    })
}

impl Machine {
    /// The tuple and zone by which a request names its flow.
    pub(super) fn key(&self, message: &Message<'_>) -> Result<Option<(Tuple, Zone)>, i32> {
        let mut zone = self.zone(message)?;
        for (direction, kind) in [CTA_TUPLE_ORIG, CTA_TUPLE_REPLY].into_iter().enumerate() {
            if let Some(given) = message.attrs.get(kind) {
                let place = Some((&mut zone, direction));
                let tuple = Tuple::parse(&self.release, given, message.family, WHOLE, place)?;
                return Ok(Some((tuple, zone)));
            }
        }
        Ok(None)
    }

    /// `ctnetlink_get_conntrack`.
    pub(super) fn get_flow(&mut self, message: &Message<'_>) -> Result<Outcome, i32> {
        if message.is_dump() {
            return self.dump_flows(message);
        }
        let (tuple, zone) = self.key(message)?.ok_or(EINVAL)?;
        let number = self.table.find(&tuple, zone).ok_or(ENOENT)?;
        let now = self.now();
        let Some(flow) = self.table.flows.get_mut(&number) else {
            return Err(ENOENT);
        };
        let bytes = netfilter(
            (IPCTNL_MSG_CT_NEW, NLM_F_MULTI),
            (message.seq, message.port),
            (flow.family(), 0),
            |w| flow.write(&self.release, now, true, w),
        );
        if message.kind == IPCTNL_MSG_CT_GET_CTRZERO {
            flow.zero_counters();
        }
        self.answer(message.port, bytes, DATA);
        Ok(Outcome::Done)
    }

    /// Removes a flow, with its event and its expectations (`nf_ct_delete`).
    pub(super) fn remove(&mut self, number: u64, port: u32, echo: bool) {
        let Some(mut flow) = self.table.remove(number) else {
            return;
        };
        let now = self.now();
        let overdue = now.clock.saturating_sub(flow.expires);
        flow.status |= DYING;
        if let Some([_, stop]) = &mut flow.times {
            *stop = now.wall - overdue.as_nanos() as u64;
        }
        self.event(&flow, (Kind::Destroy, EVERYTHING), port, echo);
        self.remove_expectations_of(flow.id);
    }

    /// Removes expired flows and expectations.
    pub(super) fn reap(&mut self) {
        let clock = self.clock;
        let flows = self.table.flows.iter();
        let expired = flows.filter(|(_, flow)| flow.expires <= clock);
        let expired: Vec<u64> = expired.map(|(number, _)| *number).collect();
        for number in expired {
            self.remove(number, 0, false);
        }
        self.reap_expectations();
    }

    /// Moves the clock. Each flow and expectation expires at its own time.
    pub(super) fn advance(&mut self, by: Duration) {
        let end = self.clock.saturating_add(by);
        let mut tried = false;
        loop {
            let flows = self.table.iter().map(|flow| flow.expires);
            // Nothing is read meanwhile, so one failed delivery is enough.
            let redelivery = self.redelivery.filter(|_| !tried);
            let next = flows
                .chain(self.expectations.values().map(|it| it.expires))
                .chain(redelivery)
                .min();
            match next.filter(|at| *at <= end) {
                Some(at) => self.clock = at.max(self.clock),
                None => break,
            }
            self.reap();
            tried |= self.redelivery.is_some_and(|due| due <= self.clock);
            self.redeliver();
        }
        self.clock = end;
        self.redeliver();
    }
}
