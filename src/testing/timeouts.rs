//! Timeout policies, and the default timeouts (`nfnetlink_cttimeout`).

use std::collections::BTreeMap;

use super::attrs::{self, Attrs};
use super::dump::What;
use super::machine::{Machine, Message, Outcome, netfilter};
use super::release::Release;
use crate::wire::attr::Writer;
use crate::wire::uapi::*;

/// The number for all protocols that the kernel does not know.
const GENERIC: u8 = 255;

/// Seconds, by the number of the attribute minus one.
type Seconds = Vec<u32>;

#[derive(Debug, Clone)]
pub(super) struct Policy {
    family: u16,
    protocol: u8,
    seconds: Seconds,
}

#[derive(Debug, Default)]
pub(super) struct Timeouts {
    /// The policies by name.
    policies: BTreeMap<Vec<u8>, Policy>,
    /// The defaults by protocol, if they were changed.
    defaults: BTreeMap<u8, Seconds>,
}

impl Timeouts {
    /// The default timeouts; `None` if the kernel has none for the protocol.
    fn defaults(&self, release: &Release, protocol: u8) -> Option<Seconds> {
        let given = self.defaults.get(&shared(protocol)).cloned();
        let seconds: &[u32] = match protocol {
            IPPROTO_TCP => &[120, 60, 432_000, 120, 60, 30, 120, 10, 120, 300, 300],
            IPPROTO_UDP => &[30, 120],
            IPPROTO_UDPLITE if release.udplite => &[30, 120],
            IPPROTO_ICMP | IPPROTO_ICMPV6 => &[30],
            IPPROTO_GRE => &[30, 180],
            // The ninth state does not exist any more.
            IPPROTO_SCTP => &[10, 3, 3, 210, 3, 3, 3, 30, 0],
            IPPROTO_DCCP if release.dccp => &[240, 480, 480, 43_200, 64, 64, 240],
            GENERIC => &[600],
            _ => return None,
        };
        Some(given.unwrap_or_else(|| seconds.to_vec()))
    }
}

impl Machine {
    /// `cttimeout_new_timeout`.
    pub(super) fn new_timeouts(&mut self, message: &Message<'_>) -> Result<Outcome, i32> {
        let given = &message.attrs;
        let name = given.string(CTA_TIMEOUT_NAME).ok_or(EINVAL)?;
        let (family, protocol) = protocols(given)?;
        let data = given.get(CTA_TIMEOUT_DATA).ok_or(EINVAL)?;
        if let Some(policy) = self.timeouts.policies.get(name) {
            if message.flags & NLM_F_EXCL != 0 {
                return Err(EEXIST);
            }
            if message.flags & NLM_F_REPLACE == 0 {
                return Err(EBUSY);
            }
            if (policy.family, policy.protocol) != (family, protocol) {
                return Err(EINVAL);
            }
        }
        // It creates even without CREATE, and missing timeouts become the defaults.
        let defaults = self.timeouts.defaults(&self.release, protocol);
        let policy = Policy {
            family,
            protocol,
            seconds: merged(defaults.ok_or(EOPNOTSUPP)?, data)?,
        };
        self.timeouts.policies.insert(name.to_vec(), policy);
        Ok(Outcome::Done)
    }

    pub(super) fn get_timeouts(&mut self, message: &Message<'_>) -> Result<Outcome, i32> {
        if message.is_dump() {
            return self.start_dump(message, What::Timeouts);
        }
        let name = message.attrs.string(CTA_TIMEOUT_NAME).ok_or(EINVAL)?;
        let policy = self.timeouts.policies.get(name).ok_or(ENOENT)?;
        let bytes = policy.show(name, (message.seq, message.port));
        self.answer(message.port, bytes, super::port::DATA);
        Ok(Outcome::Done)
    }

    /// Without a name it is a flush. The fake has no rules that use a policy.
    pub(super) fn delete_timeouts(&mut self, message: &Message<'_>) -> Result<Outcome, i32> {
        match message.attrs.string(CTA_TIMEOUT_NAME) {
            None => self.timeouts.policies.clear(),
            Some(name) => drop(self.timeouts.policies.remove(name).ok_or(ENOENT)?),
        }
        Ok(Outcome::Done)
    }

    pub(super) fn set_default_timeouts(&mut self, message: &Message<'_>) -> Result<Outcome, i32> {
        let protocol = message.attrs.u8(CTA_TIMEOUT_L4PROTO).ok_or(EINVAL)?;
        let data = message.attrs.get(CTA_TIMEOUT_DATA).ok_or(EINVAL)?;
        // The value of the family does not matter.
        if self.release.wants_family_of_defaults && !message.attrs.has(CTA_TIMEOUT_L3PROTO) {
            return Err(EINVAL);
        }
        let defaults = self.timeouts.defaults(&self.release, protocol);
        let seconds = merged(defaults.ok_or(EOPNOTSUPP)?, data)?;
        self.timeouts.defaults.insert(shared(protocol), seconds);
        Ok(Outcome::Done)
    }

    /// The answer has the message type of the request that sets the defaults.
    pub(super) fn get_default_timeouts(&mut self, message: &Message<'_>) -> Result<Outcome, i32> {
        let (family, protocol) = protocols(&message.attrs)?;
        let defaults = self.timeouts.defaults(&self.release, protocol);
        let seconds = defaults.ok_or(EOPNOTSUPP)?;
        let head = (IPCTNL_MSG_TIMEOUT_DEFAULT_SET, NLM_F_MULTI);
        let bytes = netfilter(head, (message.seq, message.port), (AF_UNSPEC, 0), |w| {
            w.put(CTA_TIMEOUT_L3PROTO, &family);
            w.put(CTA_TIMEOUT_L4PROTO, &protocol);
            put_seconds(&seconds, w);
        });
        self.answer(message.port, bytes, super::port::DATA);
        Ok(Outcome::Done)
    }

    /// The policies from this position on, as messages.
    pub(super) fn show_timeouts(&self, from: u64, ids: (u32, u32)) -> Vec<Vec<u8>> {
        let policies = self.timeouts.policies.iter().skip(from as usize);
        policies
            .map(|(name, policy)| policy.show(name, ids))
            .collect()
    }
}

impl Policy {
    fn show(&self, name: &[u8], ids: (u32, u32)) -> Vec<u8> {
        let head = (IPCTNL_MSG_TIMEOUT_NEW, NLM_F_MULTI);
        netfilter(head, ids, (AF_UNSPEC, 0), |w| {
            w.put(CTA_TIMEOUT_NAME, &with_nul(name));
            w.put(CTA_TIMEOUT_L3PROTO, &self.family);
            w.put(CTA_TIMEOUT_L4PROTO, &self.protocol);
            w.put(CTA_TIMEOUT_USE, &1_u32);
            put_seconds(&self.seconds, w);
        })
    }
}

/// UDP-Lite has the defaults of UDP.
fn shared(protocol: u8) -> u8 {
    match protocol {
        IPPROTO_UDPLITE => IPPROTO_UDP,
        protocol => protocol,
    }
}

fn put_seconds(seconds: &[u32], w: &mut Writer<'_>) {
    w.nest(CTA_TIMEOUT_DATA, |w| {
        for (kind, seconds) in (1..).zip(seconds) {
            w.put(kind, seconds);
        }
    });
}

fn protocols(given: &Attrs<'_>) -> Result<(u16, u8), i32> {
    let family = given.u16(CTA_TIMEOUT_L3PROTO).ok_or(EINVAL)?;
    let protocol = given.u8(CTA_TIMEOUT_L4PROTO).ok_or(EINVAL)?;
    Ok((family, protocol))
}

fn merged(mut seconds: Seconds, data: &[u8]) -> Result<Seconds, i32> {
    let given = Attrs::parse(data, &attrs::SECONDS[..seconds.len() + 1], u16::MAX)?;
    for (kind, own) in (1..).zip(&mut seconds) {
        *own = given.u32(kind).unwrap_or(*own);
    }
    Ok(seconds)
}

pub(super) fn with_nul(name: &[u8]) -> Box<[u8]> {
    name.iter().copied().chain([0]).collect()
}
