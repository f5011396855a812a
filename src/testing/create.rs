//! `IPCTNL_MSG_CT_NEW`: creates a flow, or changes an existing one.

use super::attrs;
use super::entry::*;
use super::helper::Helper;
use super::machine::{Machine, Message, Outcome};
use super::tuple::{Tuple, WHOLE, Zone};
use crate::wire::uapi::*;

/// `INT_MAX` jiffies, at 250 per second.
const LONGEST: std::time::Duration = std::time::Duration::from_millis(i32::MAX as u64 * 4);

pub(super) fn timeout(seconds: u32) -> std::time::Duration {
    std::time::Duration::from_secs(seconds.into()).min(LONGEST)
}

impl Machine {
    /// `ctnetlink_new_conntrack`.
    pub(super) fn new_flow(&mut self, message: &Message<'_>) -> Result<Outcome, i32> {
        let mut zone = self.zone(message)?;
        let mut tuples = [None; 2];
        for (direction, kind) in [CTA_TUPLE_ORIG, CTA_TUPLE_REPLY].into_iter().enumerate() {
            if let Some(given) = message.attrs.get(kind) {
                let place = Some((&mut zone, direction));
                let tuple = Tuple::parse(&self.release, given, message.family, WHOLE, place)?;
                tuples[direction] = Some(tuple);
            }
        }
        let key = tuples[0].or(tuples[1]);
        match key.and_then(|key| self.table.find(&key, zone)) {
            Some(_) if message.flags & NLM_F_EXCL != 0 => Err(EEXIST),
            Some(number) => self.update(number, message),
            None if message.flags & NLM_F_CREATE == 0 => Err(ENOENT),
            None => match tuples {
                [Some(orig), Some(reply)] if orig.protocol == reply.protocol => {
                    self.create(message, [orig, reply], zone)
                }
                _ => Err(EINVAL),
            },
        }
    }

    /// `ctnetlink_create_conntrack`.
    fn create(
        &mut self,
        message: &Message<'_>,
        tuples: [Tuple; 2],
        zone: Zone,
    ) -> Result<Outcome, i32> {
        let given = &message.attrs;
        if self.count() >= u64::from(self.settings.max_flows) {
            return Err(ENOMEM);
        }
        let seconds = given.u32(CTA_TIMEOUT).ok_or(EINVAL)?;
        let mut flow = self.blank(tuples, zone);
        if let Some(help) = given.nest(CTA_HELP, attrs::HELP)? {
            let name = help.string(CTA_HELP_NAME).ok_or(EINVAL)?;
            if !self.has_helper(name, &flow) {
                return Err(EOPNOTSUPP);
            }
            let name = Some(name.to_vec());
            // Only helpers in user space have their own data.
            let info = help.get(CTA_HELP_INFO).unwrap_or_default().to_vec();
            flow.help = Some(Help { name, info });
            flow.status |= HELPER;
        }
        self.set_up_nat(&mut flow, given)?;
        flow.status |= CONFIRMED;
        flow.expires = self.clock + timeout(seconds);
        flow.change_status(given)?;
        flow.change_seqadj(given)?;
        flow.change_protoinfo(given)?;
        flow.change_synproxy(given)?;
        if self.release.marks {
            flow.change_mark(given);
        }
        if let Some(master) = given.get(CTA_TUPLE_MASTER) {
            let master = Tuple::parse(&self.release, master, message.family, WHOLE, None)?;
            let found = self.table.find(&master, zone);
            let master = found
                .and_then(|number| self.table.get(number))
                .ok_or(ENOENT)?;
            flow.status |= EXPECTED;
            flow.master = Some((master.id, master.tuples[0]));
        }
        let taken = |tuple| self.table.find(tuple, zone).is_some();
        if flow.tuples.iter().any(taken) {
            // Not counted: `insert_failed` counts only packets.
            return Err(EEXIST);
        }
        self.cpus.count().insert += 1;
        let kind = match flow.status & EXPECTED != 0 {
            true => Kind::Related,
            false => Kind::New,
        };
        // The kernel ignores an error from setting the labels.
        let labels = given.has(CTA_LABELS) && flow.change_labels(given).is_ok();
        let changed = Changed {
            labels,
            ..EVERYTHING
        };
        self.table.insert(flow.clone());
        self.event(&flow, (kind, changed), message.port, message.wants_echo());
        Ok(Outcome::Done)
    }

    /// A new flow with the extensions that the settings give it.
    pub(super) fn blank(&mut self, tuples: [Tuple; 2], zone: Zone) -> Entry {
        let proto = match tuples[0].protocol {
            IPPROTO_TCP => Proto::Tcp {
                state: 0,
                scale: [0; 2],
                flags: [0; 2],
            },
            IPPROTO_SCTP => Proto::Sctp {
                state: 0,
                tags: [0; 2],
            },
            IPPROTO_DCCP if self.release.dccp => Proto::Dccp {
                state: 0,
                role: 0,
                handshake: 0,
            },
            _ => Proto::None,
        };
        let start = self.now().wall;
        Entry {
            id: self.table.next_id(),
            tuples,
            zone,
            status: 0,
            expires: self.clock,
            mark: 0,
            proto,
            help: None,
            master: None,
            children: 0,
            counters: self.settings.accounting.then_some([[0; 2]; 2]),
            times: self.settings.timestamps.then_some([start, 0]),
            labels: self.settings.label_rule.then_some([0; 16]),
            seqadj: [[0; 3]; 2],
            synproxy: Some([0; 3]),
            missed: None,
            audible: match self.settings.events {
                0 => false,
                1 => true,
                _ => self.ports.values().any(|port| port.groups & 0x3f != 0),
            },
        }
    }

    pub(super) fn has_helper(&self, name: &[u8], flow: &Entry) -> bool {
        let mut users = self.user_helpers.iter();
        self.helper(name, flow).is_some() || users.any(|helper| helper.is(name, flow))
    }

    /// The helper with this name for flows like this one.
    pub(super) fn helper(&self, name: &[u8], flow: &Entry) -> Option<Helper> {
        let mut helpers = self.settings.helpers.iter();
        helpers.find(|helper| helper.is(name, flow)).copied()
    }
}
