//! What a kernel makes of a delete or a flush: one message is both.

use super::{Kernel, Message, find, tuple};
use crate::flow::{Flow, ZoneDirection};
use crate::wire::attr::Attribute;
use crate::wire::uapi::*;

impl Kernel {
    /// Does the request make it remove the flow? An errno where it refuses the request, and where
    /// it looks for one flow and this is another. (ctnetlink_del_conntrack.)
    pub(crate) fn removes(&self, request: &[u8], flow: &Flow) -> Result<bool, i32> {
        let message = Message::new(request, IPCTNL_MSG_CT_DELETE);
        if message.has(CTA_ZONE) && !self.zones {
            return Err(EOPNOTSUPP);
        }
        let filtered = message.has(CTA_FILTER);
        let tuple = message
            .find(CTA_TUPLE_ORIG)
            .or_else(|| message.find(CTA_TUPLE_REPLY));
        match tuple {
            Some(tuple) if !(filtered && self.since(6, 11)) => self.deletes(&message, tuple, flow),
            _ if filtered && self.since(5, 8) && !self.since(6, 11) => Err(EOPNOTSUPP),
            _ => {
                // 5.2 may do it too: the worse is assumed.
                let keeps_to_family = self.since(5, 3) && message.version != NFNETLINK_V0
                    || filtered && self.since(6, 11);
                let family = match keeps_to_family {
                    true => message.family,
                    false => AF_UNSPEC,
                };
                self.keeps(&message, family, flow)
            }
        }
    }

    /// Is it the one flow that is looked for, by either of its tuples? Mark, status and the others
    /// do not count.
    fn deletes(
        &self,
        message: &Message<'_>,
        given: Attribute<'_>,
        flow: &Flow,
    ) -> Result<bool, i32> {
        let number = |attr: Attribute<'_>| attr.get::<u16>().expect("a zone");
        let of_both = message.find(CTA_ZONE).map(number);
        let of_one = find(given.nest(), CTA_TUPLE_ZONE).map(number);
        if of_one.is_some() && !self.zones {
            return Err(EOPNOTSUPP);
        }
        let of_orig = find(message.attributes, CTA_TUPLE_ORIG).is_some();
        let mut found = false;
        for (own, own_orig) in [(&flow.orig, true), (&flow.reply, false)] {
            let own_zone = match (flow.zone.direction(), own_orig) {
                (ZoneDirection::Orig, false) | (ZoneDirection::Reply, true) => 0,
                _ => flow.zone.id(),
            };
            let zone = of_one.filter(|_| of_orig == own_orig).or(of_both);
            found |= tuple::is_given(given, message.family, own)? && zone.unwrap_or(0) == own_zone;
        }
        let id = message.find(CTA_ID).map(|id| id.get::<u32>());
        let same = id.is_none_or(|id| id.ok() == flow.id.map(u32::from));
        match found && same {
            true => Ok(true),
            false => Err(ENOENT),
        }
    }
}
