//! Helpers in user space (`nfnetlink_cthelper`). This follows the kernel's source, and was not
//! compared with a running kernel.

use super::attrs::{self, Attrs};
use super::dump::What;
use super::entry::{Entry, Help};
use super::machine::{Machine, Message, Outcome, netfilter};
use super::timeouts::with_nul;
use crate::wire::uapi::*;

/// The maximum number of expectation classes of a helper, and of bytes of its data in a flow.
const MOST_CLASSES: u32 = 4;
const MOST_DATA: u32 = 32;
const EOVERFLOW: i32 = 75;

#[derive(Debug, Clone)]
pub(super) struct UserHelper {
    pub(super) name: Vec<u8>,
    family: u16,
    protocol: u8,
    queue: u32,
    /// Name, maximum number of expectations, and seconds.
    pub(super) policies: Vec<(Vec<u8>, u32, u32)>,
    data: u32,
    status: u32,
}

impl UserHelper {
    pub(super) fn is(&self, name: &[u8], flow: &Entry) -> bool {
        self.name == name
            && self.family == u16::from(flow.family())
            && self.protocol == flow.protocol()
    }

    fn show(&self, ids: (u32, u32)) -> Vec<u8> {
        let head = (NFNL_MSG_CTHELPER_NEW, NLM_F_MULTI);
        netfilter(head, ids, (AF_UNSPEC, 0), |w| {
            w.put(NFCTH_NAME, &with_nul(&self.name));
            w.put(NFCTH_QUEUE_NUM, &self.queue);
            w.nest(NFCTH_TUPLE, |w| {
                w.put(NFCTH_TUPLE_L3PROTONUM, &self.family);
                w.put(NFCTH_TUPLE_L4PROTONUM, &self.protocol);
            });
            w.nest(NFCTH_POLICY, |w| {
                w.put(NFCTH_POLICY_SET_NUM, &(self.policies.len() as u32));
                for (set, (name, most, seconds)) in (NFCTH_POLICY_SET1..).zip(&self.policies) {
                    w.nest(set, |w| {
                        w.put(NFCTH_POLICY_NAME, &with_nul(name));
                        w.put(NFCTH_POLICY_EXPECT_MAX, most);
                        w.put(NFCTH_POLICY_EXPECT_TIMEOUT, seconds);
                    });
                }
            });
            w.put(NFCTH_PRIV_DATA_LEN, &self.data);
            w.put(NFCTH_STATUS, &self.status);
        })
    }
}

impl Machine {
    /// `nfnl_cthelper_new`.
    pub(super) fn new_user_helper(&mut self, message: &Message<'_>) -> Result<Outcome, i32> {
        let given = &message.attrs;
        let name = given.string(NFCTH_NAME).ok_or(EINVAL)?;
        let (family, protocol) = tuple(given)?.ok_or(EINVAL)?;
        let same = |it: &&mut UserHelper| {
            it.name == name && (it.family, it.protocol) == (family, protocol)
        };
        let data = given.u32(NFCTH_PRIV_DATA_LEN);
        let policies = given.get(NFCTH_POLICY).map(policies).transpose()?;
        if let Some(found) = self.user_helpers.iter_mut().find(same) {
            if message.flags & NLM_F_EXCL != 0 {
                return Err(EEXIST);
            }
            if data.is_some_and(|data| data != found.data) {
                return Err(EBUSY);
            }
            if let Some(policies) = policies {
                let names = |of: &[(Vec<u8>, u32, u32)]| -> Vec<_> {
                    of.iter().map(|(name, ..)| name.clone()).collect()
                };
                if names(&policies) != names(&found.policies) {
                    return Err(EBUSY);
                }
                found.policies = policies;
            }
            found.queue = given.u32(NFCTH_QUEUE_NUM).unwrap_or(found.queue);
            found.status = given.u32(NFCTH_STATUS).unwrap_or(found.status);
            return Ok(Outcome::Done);
        }
        let own = &self.settings.helpers;
        if own.iter().any(|helper| helper.has(name, family, protocol)) {
            return Err(EBUSY);
        }
        let (policies, data) = policies.zip(data).ok_or(EINVAL)?;
        if data > MOST_DATA {
            return Err(ENOMEM);
        }
        self.user_helpers.push(UserHelper {
            name: name.to_vec(),
            family,
            protocol,
            queue: given.u32(NFCTH_QUEUE_NUM).unwrap_or(0),
            policies,
            data,
            status: given
                .u32(NFCTH_STATUS)
                .unwrap_or(NFCT_HELPER_STATUS_ENABLED),
        });
        Ok(Outcome::Done)
    }

    pub(super) fn get_user_helper(&mut self, message: &Message<'_>) -> Result<Outcome, i32> {
        if message.is_dump() {
            return self.start_dump(message, What::UserHelpers);
        }
        let met = asked_for(&message.attrs)?;
        let found = self.user_helpers.iter().find(|helper| met(helper));
        let bytes = found.ok_or(ENOENT)?.show((message.seq, message.port));
        self.answer(message.port, bytes, super::port::DATA);
        Ok(Outcome::Done)
    }

    /// Without a name and a tuple it is a flush. Only rules protect a helper from a flush, and the
    /// fake has no rules. Flows lose their helper.
    pub(super) fn delete_user_helper(&mut self, message: &Message<'_>) -> Result<Outcome, i32> {
        let met = asked_for(&message.attrs)?;
        let (gone, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.user_helpers)
            .into_iter()
            .partition(&met);
        let were_none = gone.is_empty() && left.is_empty();
        self.user_helpers = left;
        let loses = |flow: &&Entry| {
            let name = flow.help.as_ref().and_then(|help| help.name.as_deref());
            name.is_some_and(|name| gone.iter().any(|helper| helper.is(name, flow)))
        };
        let flows: Vec<_> = self
            .table
            .iter()
            .filter(loses)
            .map(|flow| flow.id)
            .collect();
        for id in flows {
            self.remove_expectations_of(id);
            let flow = self.table.number_of(id);
            if let Some(flow) = flow.and_then(|number| self.table.get_mut(number)) {
                flow.help = Some(Help::default());
            }
        }
        match were_none || !gone.is_empty() {
            true => Ok(Outcome::Done),
            false => Err(ENOENT),
        }
    }

    /// The helpers from this position on, as messages.
    pub(super) fn show_user_helpers(&self, from: u64, ids: (u32, u32)) -> Vec<Vec<u8>> {
        let helpers = self.user_helpers.iter().skip(from as usize);
        helpers.map(|helper| helper.show(ids)).collect()
    }
}

/// Matches the helpers that the request names.
fn asked_for<'a>(given: &Attrs<'a>) -> Result<impl Fn(&UserHelper) -> bool + use<'a>, i32> {
    let name = given.string(NFCTH_NAME);
    let tuple = tuple(given)?;
    Ok(move |helper: &UserHelper| {
        name.is_none_or(|name| name == helper.name)
            && tuple.is_none_or(|tuple| tuple == (helper.family, helper.protocol))
    })
}

fn tuple(given: &Attrs<'_>) -> Result<Option<(u16, u8)>, i32> {
    let Some(given) = given.nest(NFCTH_TUPLE, attrs::HELPER_TUPLE)? else {
        return Ok(None);
    };
    let family = given.u16(NFCTH_TUPLE_L3PROTONUM).ok_or(EINVAL)?;
    let protocol = given.u8(NFCTH_TUPLE_L4PROTONUM).ok_or(EINVAL)?;
    Ok(Some((family, protocol)))
}

fn policies(given: &[u8]) -> Result<Vec<(Vec<u8>, u32, u32)>, i32> {
    let given = Attrs::parse(given, attrs::HELPER_POLICIES, u16::MAX)?;
    let sets = given.u32(NFCTH_POLICY_SET_NUM).ok_or(EINVAL)?;
    match sets {
        0 => return Err(EINVAL),
        1..=MOST_CLASSES => {}
        _ => return Err(EOVERFLOW),
    }
    let sets = (NFCTH_POLICY_SET1..).take(sets as usize);
    let policies = sets.map(|set| {
        let set = given.nest(set, attrs::HELPER_POLICY)?.ok_or(EINVAL)?;
        let name = set.string(NFCTH_POLICY_NAME).ok_or(EINVAL)?;
        let most = set.u32(NFCTH_POLICY_EXPECT_MAX).ok_or(EINVAL)?;
        let seconds = set.u32(NFCTH_POLICY_EXPECT_TIMEOUT).ok_or(EINVAL)?;
        match most <= 255 {
            true => Ok((name.to_vec(), most, seconds)),
            false => Err(EINVAL),
        }
    });
    policies.collect()
}
