//! Helpers in user space: programs that parse the payload of flows for the kernel.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::flow::accounting::check_seconds;
use crate::flow::helper::{HELPER_NAME, check_some_name};
use crate::flow::{Family, Protocol};
use crate::wire::attr::{Attribute, DecodeError, Writer};
use crate::wire::message::Frame;
use crate::wire::table::{Codec, Context};
use crate::wire::uapi::*;

/// A helper whose program reads packets from a queue (NFQUEUE).
///
/// `nfct list helper`; `NFNL_MSG_CTHELPER_GET` (Linux 3.6). It has one to four kinds of
/// expectations, and is for one family and one protocol. The program can store up to 32 bytes of
/// data with a flow ([`Helper::info`](field@crate::Helper::info)).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct UserHelper {
    /// Its key.
    pub key: UserHelperKey,
    /// The number of the queue that packets go to. If no program reads it, the packets pass.
    /// `NFCTH_QUEUE_NUM`.
    pub queue: u32,
    /// The kinds of expectations, by class. `NFCTH_POLICY`.
    pub policies: Vec<ExpectationPolicy>,
    /// The room for private data of a flow, in bytes. `NFCTH_PRIV_DATA_LEN`.
    pub private_data: u32,
    /// Is it enabled? `NFCTH_STATUS`.
    pub enabled: bool,
}

#[cfg(feature = "serde")]
keyed! {
    UserHelper;
    [key: UserHelperKey, queue: u32, policies: Vec<ExpectationPolicy>, private_data: u32, enabled: bool,]
    []
}

/// Names a helper. The same name can exist for each family and protocol.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct UserHelperKey {
    /// Its name. `NFCTH_NAME`.
    pub name: Box<str>,
    /// The family of its flows. `NFCTH_TUPLE_L3PROTONUM`. `None` for a number that is neither IPv4
    /// nor IPv6.
    pub family: Option<Family>,
    /// The protocol of its flows. `NFCTH_TUPLE_L4PROTONUM`.
    pub protocol: Protocol,
}

#[cfg(feature = "serde")]
keyed! {
    UserHelperKey;
    [name: Box<str>, protocol: Protocol,]
    [family: Option<Family>,]
}

attributes! {
    /// One kind of expectations of a helper.
    #[non_exhaustive]
    pub struct ExpectationPolicy {
        /// Its name: up to 15 bytes. `NFCTH_POLICY_NAME`.
        NFCTH_POLICY_NAME [max 15] => name: Box<str>,
        /// The maximum number that a flow may have at a time, up to 255. `NFCTH_POLICY_EXPECT_MAX`.
        NFCTH_POLICY_EXPECT_MAX => max: u32,
        /// Their timeout, in whole seconds. `NFCTH_POLICY_EXPECT_TIMEOUT`.
        NFCTH_POLICY_EXPECT_TIMEOUT => timeout: Duration as "crate::flow::text::length",
    }
}

plain!(Duration);

/// The limits of the kernel.
const POLICIES: usize = 4;
const EXPECTATIONS: u32 = 255;
const PRIVATE_DATA: u32 = 32;

impl ExpectationPolicy {
    /// A kind of expectations: at most `max` per flow, each with this `timeout`.
    pub fn new(name: impl Into<Box<str>>, max: u32, timeout: Duration) -> Self {
        Self {
            name: name.into(),
            max,
            timeout,
        }
    }
}

impl UserHelperKey {
    /// The helper with this name, for this family and protocol.
    pub fn new(name: impl Into<Box<str>>, family: Family, protocol: impl Into<Protocol>) -> Self {
        Self {
            name: name.into(),
            family: Some(family),
            protocol: protocol.into(),
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        check_some_name("helper", &self.name, HELPER_NAME)?;
        match self.family {
            None => Err(Error::invalid_input("family: there is none")),
            Some(_) => Ok(()),
        }
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        w.put(NFCTH_NAME, &self.name);
        w.nest(NFCTH_TUPLE, |w| {
            let family = self.family.map_or(AF_UNSPEC, Family::number);
            w.put(NFCTH_TUPLE_L3PROTONUM, &u16::from(family));
            w.put(NFCTH_TUPLE_L4PROTONUM, &self.protocol.number());
        });
    }
}

impl From<&UserHelper> for UserHelperKey {
    fn from(helper: &UserHelper) -> Self {
        helper.key.clone()
    }
}

impl From<&Self> for UserHelperKey {
    fn from(key: &Self) -> Self {
        key.clone()
    }
}

impl UserHelper {
    /// A helper to create: enabled, with queue 0 and no room for private data.
    pub fn new(
        name: impl Into<Box<str>>,
        family: Family,
        protocol: impl Into<Protocol>,
        policies: impl IntoIterator<Item = ExpectationPolicy>,
    ) -> Self {
        Self {
            key: UserHelperKey::new(name, family, protocol),
            queue: 0,
            policies: policies.into_iter().collect(),
            private_data: 0,
            enabled: true,
        }
    }

    /// Sets the queue that packets go to.
    #[must_use]
    pub fn queue(mut self, queue: u32) -> Self {
        self.queue = queue;
        self
    }

    /// Sets the room for private data of a flow, up to 32 bytes.
    #[must_use]
    pub fn private_data(mut self, bytes: u32) -> Self {
        self.private_data = bytes;
        self
    }

    /// Sets whether it is enabled.
    #[must_use]
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    pub(crate) fn decode(frame: &Frame<'_>) -> Result<Self, DecodeError> {
        let (mut name, mut protocols) = (None, None);
        let (mut queue, mut policies, mut private_data, mut status) = (0, Vec::new(), 0, 0_u32);
        let mut attributes = frame.attributes()?;
        while let Some(attr) = attributes.next()? {
            match attr.kind {
                NFCTH_NAME => name = Some(within!(NFCTH_NAME, attr.get_at_most(HELPER_NAME))?),
                NFCTH_TUPLE => protocols = Some(within!(NFCTH_TUPLE, read_protocols(attr))?),
                NFCTH_QUEUE_NUM => queue = within!(NFCTH_QUEUE_NUM, attr.get())?,
                NFCTH_POLICY => policies = within!(NFCTH_POLICY, read_policies(attr))?,
                NFCTH_PRIV_DATA_LEN => private_data = within!(NFCTH_PRIV_DATA_LEN, attr.get())?,
                NFCTH_STATUS => status = within!(NFCTH_STATUS, attr.get())?,
                _ => {}
            }
        }
        let (family, protocol) = present!(NFCTH_TUPLE, protocols)?;
        Ok(Self {
            key: UserHelperKey {
                name: present!(NFCTH_NAME, name)?,
                family,
                protocol,
            },
            queue,
            policies,
            private_data,
            enabled: status == NFCT_HELPER_STATUS_ENABLED,
        })
    }

    /// Refuses input that the kernel would refuse with a bare errno, or truncate.
    pub(crate) fn check(&self) -> Result<()> {
        self.key.check()?;
        if !(1..=POLICIES).contains(&self.policies.len()) {
            return Err(Error::invalid_input(format!(
                "policies: a helper has one to {POLICIES}, and this {}",
                self.policies.len()
            )));
        }
        for policy in &self.policies {
            check_some_name("policy", &policy.name, HELPER_NAME)?;
            check_seconds("policy: timeout", policy.timeout)?;
            if policy.max > EXPECTATIONS {
                return Err(Error::invalid_input(format!(
                    "policy: a flow has {EXPECTATIONS} expectations at the most, and {} were \
                     asked for",
                    policy.max
                )));
            }
        }
        if self.private_data > PRIVATE_DATA {
            return Err(Error::invalid_input(format!(
                "private_data: there is room for {PRIVATE_DATA} bytes at the most"
            )));
        }
        Ok(())
    }

    pub(crate) fn encode(&self, w: &mut Writer<'_>) {
        self.key.encode(w);
        w.put(NFCTH_QUEUE_NUM, &self.queue);
        w.nest(NFCTH_POLICY, |w| {
            w.put(NFCTH_POLICY_SET_NUM, &(self.policies.len() as u32));
            for (kind, policy) in (NFCTH_POLICY_SET1..).zip(&self.policies) {
                policy.encode(kind, &Context::default(), w);
            }
        });
        w.put(NFCTH_PRIV_DATA_LEN, &self.private_data);
        let status = match self.enabled {
            true => NFCT_HELPER_STATUS_ENABLED,
            false => NFCT_HELPER_STATUS_DISABLED,
        };
        w.put(NFCTH_STATUS, &status);
    }
}

fn read_protocols(attr: Attribute<'_>) -> Result<(Option<Family>, Protocol), DecodeError> {
    let (mut family, mut protocol) = (None, None);
    let mut attributes = attr.nest();
    while let Some(inner) = attributes.next()? {
        match inner.kind {
            NFCTH_TUPLE_L3PROTONUM => {
                family = Some(within!(NFCTH_TUPLE_L3PROTONUM, inner.get::<u16>())?)
            }
            NFCTH_TUPLE_L4PROTONUM => {
                protocol = Some(within!(NFCTH_TUPLE_L4PROTONUM, inner.get::<u8>())?)
            }
            _ => {}
        }
    }
    let protocol = present!(NFCTH_TUPLE_L4PROTONUM, protocol)?;
    Ok((family.and_then(Family::known), protocol.into()))
}

fn read_policies(attr: Attribute<'_>) -> Result<Vec<ExpectationPolicy>, DecodeError> {
    let mut policies = Vec::new();
    let mut attributes = attr.nest();
    while let Some(inner) = attributes.next()? {
        if inner.kind != NFCTH_POLICY_SET_NUM {
            policies.push(ExpectationPolicy::decode(
                inner.payload,
                &mut Context::default(),
            )?);
        }
    }
    Ok(policies)
}

#[cfg(test)]
mod tests;
