//! Converts between the crate's types and the table.

use super::attrs::{self, Attrs};
use super::create::timeout;
use super::entry::*;
use super::machine::{Machine, netfilter};
use super::release::Release;
use super::tuple::{Tuple, WHOLE, Zone};
use crate::error::{Error, Result};
use crate::flow::{self, Flow, FlowId, FlowKey, ZoneDirection};
use crate::wire::attr::Writer;
use crate::wire::message::Verdict;
use crate::wire::table::Context;
use crate::wire::uapi::*;

/// The timeout of a restored flow without one.
const TIMEOUT: u32 = 600;

impl Machine {
    /// Stores a flow as it is.
    pub(super) fn restore(&mut self, flow: &Flow) -> Result<FlowId> {
        self.reap();
        self.try_restore(flow)
            .map_err(|errno| Error::refused(Verdict::of(errno)).context("inserting a flow"))
    }

    fn try_restore(&mut self, flow: &Flow) -> std::result::Result<FlowId, i32> {
        let mut bytes = Vec::new();
        flow.write(&Context::default(), &mut Writer(&mut bytes));
        let given = Attrs::parse(&bytes, attrs::FLOW, u16::MAX)?;
        let tuple = |tuple: &flow::Tuple| raw(&self.release, tuple);
        let tuples = [tuple(&flow.orig)?, tuple(&flow.reply)?];
        let zone = zone_of(flow.zone);
        if tuples
            .iter()
            .any(|tuple| self.table.find(tuple, zone).is_some())
        {
            return Err(EEXIST);
        }
        let master = match flow.master() {
            None => None,
            Some(master) => {
                let found = self.table.find(&tuple(master)?, zone);
                let found = found
                    .and_then(|number| self.table.get(number))
                    .ok_or(ENOENT)?;
                Some((found.id, found.tuples[0]))
            }
        };
        let mut entry = self.blank(tuples, zone);
        if let Some(id) = flow.id.map(u32::from) {
            if self.table.number_of(id).is_some() {
                return Err(EEXIST);
            }
            entry.id = id;
        }
        entry.status = flow.status.bits() | CONFIRMED;
        if master.is_some() {
            entry.status |= EXPECTED;
        }
        entry.master = master;
        entry.expires = self.clock + timeout(given.u32(CTA_TIMEOUT).unwrap_or(TIMEOUT));
        entry.mark = flow.mark.unwrap_or(0);
        entry.change_protoinfo(&given)?;
        entry.restore_scales(&given)?;
        entry.labels = given.array(CTA_LABELS).or(entry.labels);
        if flow.counters_orig.is_some() || flow.counters_reply.is_some() {
            let counters = |counters: Option<flow::Counters>| {
                let counters = counters.unwrap_or_default();
                [counters.packets, counters.bytes]
            };
            entry.counters = Some([counters(flow.counters_orig), counters(flow.counters_reply)]);
        }
        if let Some(times) = given.get(CTA_TIMESTAMP) {
            let times = Attrs::parse(times, attrs::NUMBERS, u16::MAX)?;
            let start = times
                .array(CTA_TIMESTAMP_START)
                .map_or(0, u64::from_be_bytes);
            entry.times = Some([start, 0]);
        }
        if let Some(helper) = flow.helper() {
            entry.help = Some(Help {
                name: Some(helper.name.as_bytes().to_vec()),
                info: helper.info.as_deref().unwrap_or_default().to_vec(),
            });
        }
        entry.change_seqadj(&given)?;
        entry.change_synproxy(&given)?;
        let id = FlowId::from(entry.id);
        self.table.insert(entry);
        Ok(id)
    }

    /// The flows as a list returns them.
    pub(super) fn show_all(&mut self) -> Vec<Flow> {
        self.reap();
        let now = self.now();
        let flows = self.table.iter().map(|entry| {
            let head = (IPCTNL_MSG_CT_NEW, NLM_F_MULTI);
            netfilter(head, (0, 0), (entry.family(), 0), |w| {
                entry.write(&self.release, now, false, w)
            })
        });
        // The crate can decode its own messages.
        flows
            .filter_map(|bytes| Flow::from_message(&bytes).ok())
            .collect()
    }
}

impl Entry {
    /// A listed flow has complete flags, and its window scales apply whatever the flags are.
    fn restore_scales(&mut self, given: &Attrs<'_>) -> std::result::Result<(), i32> {
        let Some(given) = given.nest(CTA_PROTOINFO, attrs::PROTOINFO)? else {
            return Ok(());
        };
        if let (Proto::Tcp { scale, flags, .. }, Some(given)) =
            (&mut self.proto, given.nest(CTA_PROTOINFO_TCP, attrs::TCP)?)
        {
            let whole = |kind| given.array::<2>(kind).map_or(0, |[flags, _]| flags);
            let byte = |kind| given.u8(kind).unwrap_or(0);
            *flags = [
                whole(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL),
                whole(CTA_PROTOINFO_TCP_FLAGS_REPLY),
            ];
            *scale = [
                byte(CTA_PROTOINFO_TCP_WSCALE_ORIGINAL),
                byte(CTA_PROTOINFO_TCP_WSCALE_REPLY),
            ];
        }
        Ok(())
    }
}

/// Converts one of the crate's tuples, by its bytes.
fn raw(release: &Release, tuple: &flow::Tuple) -> std::result::Result<Tuple, i32> {
    key_of(release, &FlowKey::orig(*tuple)).map(|(tuple, _)| tuple)
}

pub(super) fn zone_of(zone: flow::Zone) -> Zone {
    let only = match zone.direction() {
        ZoneDirection::Both => None,
        ZoneDirection::Orig => Some(0),
        ZoneDirection::Reply => Some(1),
    };
    Zone {
        id: zone.id(),
        only,
    }
}

/// Converts one of the crate's keys, by its bytes.
pub(super) fn key_of(release: &Release, key: &FlowKey) -> std::result::Result<(Tuple, Zone), i32> {
    let mut bytes = Vec::new();
    key.encode(&mut Writer(&mut bytes));
    let given = Attrs::parse(&bytes, attrs::FLOW, u16::MAX)?;
    let mut zone = Zone {
        id: given.u16(CTA_ZONE).unwrap_or(0),
        only: None,
    };
    let family = key.tuple().family().number();
    let tuples = [CTA_TUPLE_ORIG, CTA_TUPLE_REPLY].into_iter().enumerate();
    let mut given = tuples.filter_map(|(direction, kind)| Some((direction, given.get(kind)?)));
    let (direction, tuple) = given.next().ok_or(EINVAL)?;
    let place = Some((&mut zone, direction));
    let tuple = Tuple::parse(release, tuple, family, WHOLE, place)?;
    Ok((tuple, zone))
}
