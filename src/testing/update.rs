//! Applies the changes of a request to a flow, in the kernel's order. It stops at the first error,
//! and the earlier changes stay.

use super::attrs::{self, Attrs};
use super::create::timeout;
use super::entry::*;
use super::machine::{Machine, Message, Outcome};
use crate::wire::uapi::*;

/// Status bits that a request must send unchanged.
const SETTLED: u32 = EXPECTED | CONFIRMED | DYING;
/// Status bits that a request cannot set.
const UNCHANGEABLE: u32 = SETTLED
    | SRC_NAT
    | DST_NAT
    | SRC_NAT_DONE
    | DST_NAT_DONE
    | SEQ_ADJUST
    | TEMPLATE
    | UNTRACKED
    | OFFLOAD
    | HW_OFFLOAD;
const WINDOW_SCALE: u8 = 1;
const TCP_SYN_SENT2: u8 = 9;
const DCCP_TIMEWAIT: u8 = 7;
const DCCP_SERVER: u8 = 1;

impl Machine {
    /// `ctnetlink_change_conntrack`.
    pub(super) fn update(&mut self, number: u64, message: &Message<'_>) -> Result<Outcome, i32> {
        let given = &message.attrs;
        if [CTA_NAT_SRC, CTA_NAT_DST, CTA_TUPLE_MASTER]
            .iter()
            .any(|kind| given.has(*kind))
        {
            return Err(EOPNOTSUPP);
        }
        if given.has(CTA_HELP) {
            self.change_helper(number, given)?;
        }
        let (clock, release) = (self.clock, self.release);
        let flow = self.table.get_mut(number).ok_or(ENOENT)?;
        if let Some(seconds) = given.u32(CTA_TIMEOUT) {
            if release.fixed_timeout && flow.status & FIXED_TIMEOUT != 0 {
                return Err(EPERM);
            }
            flow.expires = clock + timeout(seconds);
        }
        flow.change_status(given)?;
        flow.change_protoinfo(given)?;
        if release.marks {
            flow.change_mark(given);
        }
        flow.change_seqadj(given)?;
        flow.change_synproxy(given)?;
        if given.has(CTA_LABELS) {
            flow.change_labels(given)?;
        }
        let flow = flow.clone();
        let update = (Kind::Update, EVERYTHING);
        self.event(&flow, update, message.port, message.wants_echo());
        Ok(Outcome::Done)
    }

    /// `ctnetlink_change_helper`.
    fn change_helper(&mut self, number: u64, given: &Attrs<'_>) -> Result<(), i32> {
        let flow = self.table.get(number).ok_or(ENOENT)?;
        let id = flow.id;
        let is_known = |name| self.has_helper(name, flow);
        let help = given.nest(CTA_HELP, attrs::HELP)?.ok_or(EINVAL)?;
        let name = help.string(CTA_HELP_NAME).ok_or(EINVAL)?;
        let own = flow.help.as_ref().map(|help| help.name.as_deref());
        if flow.master.is_some() {
            return match own.flatten() == Some(name) {
                true => Ok(()),
                false => Err(EBUSY),
            };
        }
        if name.is_empty() && self.release.takes_helpers {
            if own.flatten().is_some() {
                self.remove_expectations_of(id);
                let flow = self.table.get_mut(number).ok_or(ENOENT)?;
                flow.help = Some(Help::default());
            }
            return Ok(());
        }
        match own {
            _ if !is_known(name) => Err(EOPNOTSUPP),
            None => Err(EOPNOTSUPP),
            Some(own) if own == Some(name) => Ok(()),
            Some(_) => Err(EBUSY),
        }
    }
}

impl Entry {
    pub(super) fn change_status(&mut self, given: &Attrs<'_>) -> Result<(), i32> {
        let Some(status) = given.u32(CTA_STATUS) else {
            return Ok(());
        };
        let lost = self.status & !status & (SEEN_REPLY | ASSURED);
        if (self.status ^ status) & SETTLED != 0 || lost != 0 {
            return Err(EBUSY);
        }
        self.status |= status & !UNCHANGEABLE & 0xffff;
        Ok(())
    }

    pub(super) fn change_mark(&mut self, given: &Attrs<'_>) {
        if let Some(mark) = given.u32(CTA_MARK) {
            let mask = given.u32(CTA_MARK_MASK).unwrap_or(u32::MAX);
            // Bits outside the mask are toggled.
            self.mark = (self.mark & !mask) ^ mark;
        }
    }

    pub(super) fn change_protoinfo(&mut self, given: &Attrs<'_>) -> Result<(), i32> {
        let Some(given) = given.nest(CTA_PROTOINFO, attrs::PROTOINFO)? else {
            return Ok(());
        };
        match &mut self.proto {
            Proto::None => {}
            Proto::Tcp {
                state,
                scale,
                flags,
            } => {
                let Some(given) = given.nest(CTA_PROTOINFO_TCP, attrs::TCP)? else {
                    return Ok(());
                };
                let new = given.u8(CTA_PROTOINFO_TCP_STATE);
                if new.is_some_and(|new| new > TCP_SYN_SENT2) {
                    return Err(EINVAL);
                }
                *state = new.unwrap_or(*state);
                for (own, kind) in flags.iter_mut().zip([
                    CTA_PROTOINFO_TCP_FLAGS_ORIGINAL,
                    CTA_PROTOINFO_TCP_FLAGS_REPLY,
                ]) {
                    if let Some([value, mask]) = given.array(kind) {
                        *own = *own & !mask | value & mask;
                    }
                }
                let scales = given
                    .u8(CTA_PROTOINFO_TCP_WSCALE_ORIGINAL)
                    .zip(given.u8(CTA_PROTOINFO_TCP_WSCALE_REPLY));
                if let (Some((orig, reply)), true) =
                    (scales, flags.iter().all(|flags| flags & WINDOW_SCALE != 0))
                {
                    *scale = [orig, reply];
                }
            }
            Proto::Sctp { state, tags } => {
                let Some(given) = given.nest(CTA_PROTOINFO_SCTP, attrs::SCTP)? else {
                    return Ok(());
                };
                let new = given.u8(CTA_PROTOINFO_SCTP_STATE).ok_or(EINVAL)?;
                let tag = |kind| given.u32(kind).ok_or(EINVAL);
                *tags = [
                    tag(CTA_PROTOINFO_SCTP_VTAG_ORIGINAL)?,
                    tag(CTA_PROTOINFO_SCTP_VTAG_REPLY)?,
                ];
                *state = new;
            }
            Proto::Dccp {
                state,
                role,
                handshake,
            } => {
                let Some(given) = given.nest(CTA_PROTOINFO_DCCP, attrs::DCCP)? else {
                    return Ok(());
                };
                let upto = |kind, last| given.u8(kind).filter(|it| *it <= last).ok_or(EINVAL);
                let new = upto(CTA_PROTOINFO_DCCP_STATE, DCCP_TIMEWAIT)?;
                *role = upto(CTA_PROTOINFO_DCCP_ROLE, DCCP_SERVER)?;
                *state = new;
                let given = given.array(CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ);
                *handshake = given.map_or(*handshake, u64::from_be_bytes);
            }
        }
        Ok(())
    }

    pub(super) fn change_seqadj(&mut self, given: &Attrs<'_>) -> Result<(), i32> {
        for (own, kind) in self
            .seqadj
            .iter_mut()
            .zip([CTA_SEQ_ADJ_ORIG, CTA_SEQ_ADJ_REPLY])
        {
            if let Some(given) = given.nest(kind, attrs::NUMBERS)? {
                // The values before the first missing one are set.
                for (own, kind) in own.iter_mut().zip(1..) {
                    *own = given.u32(kind).ok_or(EINVAL)?;
                }
                self.status |= SEQ_ADJUST;
            }
        }
        Ok(())
    }

    pub(super) fn change_synproxy(&mut self, given: &Attrs<'_>) -> Result<(), i32> {
        let Some(own) = &mut self.synproxy else {
            return Ok(());
        };
        if let Some(given) = given.nest(CTA_SYNPROXY, attrs::NUMBERS)? {
            *own = given.numbers()?;
        }
        Ok(())
    }

    /// Missing words become zero, with or without a mask (`nf_connlabels_replace`).
    pub(super) fn change_labels(&mut self, given: &Attrs<'_>) -> Result<(), i32> {
        let bits = given.get(CTA_LABELS).unwrap_or_default();
        let mask = given.get(CTA_LABELS_MASK);
        let fits = mask.is_none_or(|mask| !mask.is_empty() && mask.len() == bits.len());
        if bits.len() % 4 != 0 || !fits {
            return Err(EINVAL);
        }
        let own = self.labels.as_mut().ok_or(ENOSPC)?;
        for (index, own) in own.iter_mut().enumerate() {
            let mask = mask.and_then(|mask| mask.get(index)).unwrap_or(&0xff);
            *own = match bits.get(index) {
                Some(bits) => *own & !mask ^ bits,
                None => 0,
            };
        }
        Ok(())
    }

    pub(super) fn zero_counters(&mut self) {
        if let Some(counters) = &mut self.counters {
            *counters = [[0; 2]; 2];
        }
    }
}
