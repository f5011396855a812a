//! `IPCTNL_MSG_CT_DELETE`: deletes one flow, or flushes.

use super::machine::{Machine, Message, Outcome};
use super::release::FilteredFlush;
use crate::wire::uapi::*;

impl Machine {
    /// `ctnetlink_del_conntrack`.
    pub(super) fn delete_flow(&mut self, message: &Message<'_>) -> Result<Outcome, i32> {
        let given = &message.attrs;
        self.zone(message)?;
        let filtered = given.has(CTA_FILTER);
        if !(filtered && self.filters_flushes()) {
            if let Some((tuple, zone)) = self.key(message)? {
                let number = self.table.find(&tuple, zone).ok_or(ENOENT)?;
                let id = self.table.get(number).map(|flow| flow.id);
                if given.has(CTA_ID) && given.u32(CTA_ID) != id {
                    return Err(ENOENT);
                }
                self.remove(number, message.port, message.wants_echo());
                return Ok(Outcome::Done);
            }
        }
        if filtered && self.release.filtered_flush == FilteredFlush::Refused {
            return Err(EOPNOTSUPP);
        }
        let by_family = self.release.flush_by_family && message.version != NFNETLINK_V0;
        let family = match by_family || (filtered && self.filters_flushes()) {
            true => message.family,
            false => AF_UNSPEC,
        };
        let filter = self.filter(message, family)?;
        let flows = self.table.from(0);
        let met = flows.filter(|(_, flow)| filter.as_ref().is_none_or(|it| it.matches(flow)));
        let met: Vec<u64> = met.map(|(number, _)| number).collect();
        for number in met {
            self.remove(number, message.port, message.wants_echo());
        }
        Ok(Outcome::Done)
    }
}
