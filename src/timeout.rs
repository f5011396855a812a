//! Timeout policies: how long the flows of a rule may be idle, for each state.

mod states;

pub use states::{
    DccpTimeouts, SctpTimeouts, SingleTimeout, TcpTimeouts, Timeouts, TwoWayTimeouts,
};

use crate::error::{Error, Result};
use crate::flow::accounting::check_seconds;
use crate::flow::helper::check_some_name;
use crate::flow::{Family, Protocol};
use crate::wire::attr::{DecodeError, Writer};
use crate::wire::message::Frame;
use crate::wire::uapi::*;

/// The longest name of a policy, in bytes.
const NAME: usize = 31;

/// A timeout policy: a named object that a rule assigns to flows (`iptables -t raw -j CT --timeout
/// NAME`).
///
/// `nfct list timeout`; `IPCTNL_MSG_TIMEOUT_GET` (Linux 3.4). `Display` is what `nfct get` prints.
/// The `ct timeout` objects of nftables are separate, and not listed here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TimeoutPolicy {
    /// Its name. `CTA_TIMEOUT_NAME`.
    pub name: Box<str>,
    /// The family of its flows. `CTA_TIMEOUT_L3PROTO`. `None` for a number that is neither IPv4 nor
    /// IPv6.
    pub family: Option<Family>,
    /// The timeouts, for each state of its protocol. `CTA_TIMEOUT_L4PROTO`, `CTA_TIMEOUT_DATA`.
    pub timeouts: Timeouts,
    /// The kernel's reference count: 1 if no rule and no flow uses it. `CTA_TIMEOUT_USE`.
    pub use_count: Option<u32>,
}

#[cfg(feature = "serde")]
keyed! {
    TimeoutPolicy;
    [name: Box<str>, timeouts: Timeouts,]
    [family: Option<Family>, use_count: Option<u32>,]
}

impl TimeoutPolicy {
    /// A policy to create. States without a timeout here get the namespace's default.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ctnetlink::{Family, TcpTimeouts, TimeoutPolicy};
    /// let idle = TcpTimeouts::new().established(Duration::from_secs(3600));
    /// let policy = TimeoutPolicy::new("idle", Family::Ipv4, idle);
    /// ```
    pub fn new(name: impl Into<Box<str>>, family: Family, timeouts: impl Into<Timeouts>) -> Self {
        Self {
            name: name.into(),
            family: Some(family),
            timeouts: timeouts.into(),
            use_count: None,
        }
    }

    pub(crate) fn decode(frame: &Frame<'_>) -> Result<Self, DecodeError> {
        let (mut name, mut family, mut use_count) = (None, None, None);
        let mut attributes = frame.attributes()?;
        while let Some(attr) = attributes.next()? {
            match attr.kind {
                CTA_TIMEOUT_NAME => name = Some(within!(CTA_TIMEOUT_NAME, attr.get_at_most(NAME))?),
                CTA_TIMEOUT_L3PROTO => {
                    family = Some(within!(CTA_TIMEOUT_L3PROTO, attr.get::<u16>())?)
                }
                CTA_TIMEOUT_USE => use_count = Some(within!(CTA_TIMEOUT_USE, attr.get())?),
                _ => {}
            }
        }
        let family = present!(CTA_TIMEOUT_L3PROTO, family)?;
        Ok(Self {
            name: present!(CTA_TIMEOUT_NAME, name)?,
            family: Family::known(family),
            timeouts: decode_timeouts(frame)?,
            use_count,
        })
    }

    /// Refuses input that the kernel would refuse with a bare EINVAL, or truncate.
    pub(crate) fn check(&self) -> Result<()> {
        check_policy_name(&self.name)?;
        if self.family.is_none() {
            return Err(Error::invalid_input("family: there is none"));
        }
        check_timeouts(&self.timeouts)
    }

    /// Writes everything that a request can set.
    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        w.put(CTA_TIMEOUT_NAME, &self.name);
        encode_timeouts(self.family, &self.timeouts, w);
    }
}

/// Decodes the timeouts in a message: of a policy, or the defaults.
pub(crate) fn decode_timeouts(frame: &Frame<'_>) -> Result<Timeouts, DecodeError> {
    let (mut protocol, mut data) = (None, None);
    let mut attributes = frame.attributes()?;
    while let Some(attr) = attributes.next()? {
        match attr.kind {
            CTA_TIMEOUT_L4PROTO => protocol = Some(within!(CTA_TIMEOUT_L4PROTO, attr.get::<u8>())?),
            CTA_TIMEOUT_DATA => data = Some(attr),
            _ => {}
        }
    }
    let protocol = present!(CTA_TIMEOUT_L4PROTO, protocol)?;
    let mut timeouts = Timeouts::unset(protocol.into());
    if let Some(data) = data {
        let mut states = data.nest();
        while let Some(attr) = states.next()? {
            // Unknown states are skipped.
            if let Some(slot) = timeouts.slot(attr.kind) {
                *slot = Some(attr.get()?);
            }
        }
    }
    Ok(timeouts)
}

/// Writes the protocols and the timeouts. The kernel requires a family even where it ignores it.
pub(crate) fn encode_timeouts(family: Option<Family>, timeouts: &Timeouts, w: &mut Writer<'_>) {
    encode_protocols(family, timeouts.protocol(), w);
    w.nest(CTA_TIMEOUT_DATA, |w| {
        for (kind, _, timeout) in timeouts.rows() {
            w.put_some(kind, timeout.as_ref());
        }
    });
}

pub(crate) fn encode_protocols(family: Option<Family>, protocol: Protocol, w: &mut Writer<'_>) {
    let family = family.unwrap_or(Family::Ipv4).number();
    w.put(CTA_TIMEOUT_L3PROTO, &u16::from(family));
    w.put(CTA_TIMEOUT_L4PROTO, &protocol.number());
}

pub(crate) fn check_policy_name(name: &str) -> Result<()> {
    check_some_name("timeout policy", name, NAME)
}

pub(crate) fn check_timeouts(timeouts: &Timeouts) -> Result<()> {
    if let Timeouts::Other(protocol) = timeouts {
        return Err(Error::invalid_input(format!(
            "timeouts: protocol {protocol} has no states of its own; Timeouts::Generic is for all \
             such protocols"
        )));
    }
    for (_, state, timeout) in timeouts.rows() {
        if let Some(timeout) = timeout {
            check_seconds(&format!("timeouts: {state}"), timeout)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
