//! The verbs for timeout policies.

use std::sync::Arc;

use super::dump::dump;
use super::{RequestFuture, Task};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Family, Protocol};
use crate::timeout::{
    TimeoutPolicy, Timeouts, check_policy_name, check_timeouts, decode_timeouts, encode_protocols,
    encode_timeouts,
};
use crate::transport::Lanes;
use crate::wire::message::Request;
use crate::wire::uapi::*;

verbs! {
    LIST = "timeout_list", "listing the timeout policies";
    GET = "timeout_get", "getting a timeout policy";
    CREATE = "timeout_create", "creating a timeout policy";
    UPDATE = "timeout_update", "updating a timeout policy";
    DELETE = "timeout_delete", "deleting a timeout policy";
    FLUSH = "timeout_flush", "flushing the timeout policies";
    DEFAULTS = "timeout_defaults", "getting the default timeouts";
    SET_DEFAULTS = "timeout_set_defaults", "setting the default timeouts";
}

pub(crate) fn list(lanes: Arc<Lanes>) -> RequestFuture<Vec<TimeoutPolicy>> {
    LIST.run(lanes, None, |task| async move {
        let request = Request::new(IPCTNL_MSG_TIMEOUT_GET, NLM_F_DUMP, AF_UNSPEC);
        dump(&task, request, TimeoutPolicy::decode)
            .await
            .map_err(explain)
    })
}

pub(crate) fn get(lanes: Arc<Lanes>, name: Box<str>) -> RequestFuture<Option<TimeoutPolicy>> {
    GET.run(lanes, None, move |task| async move {
        check_policy_name(&name)?;
        find(&task, &name).await
    })
}

pub(crate) fn create(lanes: Arc<Lanes>, policy: TimeoutPolicy) -> RequestFuture<()> {
    CREATE.run(lanes, policy.family, move |task| async move {
        policy.check()?;
        let created = task.call(new(NLM_F_CREATE | NLM_F_EXCL, &policy)).await;
        created.map(drop).map_err(explain)
    })
}

/// The kernel sets every timeout that is not in the request to the namespace's default. So the
/// request contains all of them.
pub(crate) fn update(lanes: Arc<Lanes>, name: Box<str>, timeouts: Timeouts) -> RequestFuture<()> {
    UPDATE.run(lanes, None, move |task| async move {
        check_policy_name(&name)?;
        check_timeouts(&timeouts)?;
        let mut policy = find(&task, &name).await?.ok_or_else(not_found)?;
        if policy.timeouts.protocol() != timeouts.protocol() {
            return Err(Error::invalid_input(format!(
                "timeouts: they are of {}, and the policy is of {}",
                timeouts.protocol(),
                policy.timeouts.protocol()
            )));
        }
        policy.timeouts = timeouts.or(&policy.timeouts);
        // The kernel would create a missing policy even without CREATE.
        let updated = task.call(new(NLM_F_REPLACE, &policy)).await;
        updated.map(drop).map_err(explain)
    })
}

pub(crate) fn delete(lanes: Arc<Lanes>, name: Box<str>) -> RequestFuture<()> {
    DELETE.run(lanes, None, move |task| async move {
        check_policy_name(&name)?;
        // The kernel walks its table for flows that have the policy.
        let request = named(IPCTNL_MSG_TIMEOUT_DELETE, &name);
        task.flush(request).await.map_err(explain)
    })
}

pub(crate) fn flush(lanes: Arc<Lanes>) -> RequestFuture<()> {
    FLUSH.run(lanes, None, |task| async move {
        let request = Request::new(IPCTNL_MSG_TIMEOUT_DELETE, 0, AF_UNSPEC);
        task.flush(request).await.map_err(explain)
    })
}

pub(crate) fn defaults(lanes: Arc<Lanes>, protocol: Protocol) -> RequestFuture<Timeouts> {
    DEFAULTS.run(lanes, None, move |task| async move {
        let request = defaults_request(protocol);
        let data = task.call(request).await.map_err(explain)?;
        let data = data.ok_or_else(Error::unanswered)?;
        Error::reading(&data, decode_timeouts)
    })
}

pub(crate) fn set_defaults(lanes: Arc<Lanes>, timeouts: Timeouts) -> RequestFuture<()> {
    SET_DEFAULTS.run(lanes, None, move |task| async move {
        check_timeouts(&timeouts)?;
        let set = task.call(set_defaults_request(&timeouts)).await;
        set.map(drop).map_err(explain)
    })
}

async fn find(task: &Task, name: &str) -> Result<Option<TimeoutPolicy>> {
    let found = task.find(named(IPCTNL_MSG_TIMEOUT_GET, name), TimeoutPolicy::decode);
    found.await.map_err(explain)
}

fn not_found() -> Error {
    explain(Error::not_found())
}

/// Explains what the errno means for a policy. Our requests are complete, so EINVAL means that the
/// subsystem is missing.
fn explain(error: Error) -> Error {
    let (kind, words) = match error.errno() {
        Some(ENOENT) => (
            ErrorKind::NotFound,
            "there is no timeout policy of this name in the namespace",
        ),
        Some(EEXIST) => (
            ErrorKind::AlreadyExists,
            "there is a timeout policy of this name already; an update changes it",
        ),
        Some(EBUSY) => (
            ErrorKind::Busy,
            "a rule uses the timeout policy: remove the rule first (iptables -t raw -S shows it)",
        ),
        Some(EOPNOTSUPP) => (
            ErrorKind::Unsupported,
            "this kernel has no timeouts for the protocol; those of Timeouts::Generic are for all \
             protocols that it does not know",
        ),
        Some(EINVAL) => (
            ErrorKind::Unsupported,
            "this kernel has no timeout policies (CONFIG_NF_CT_NETLINK_TIMEOUT, module \
             nfnetlink_cttimeout)",
        ),
        _ => return error,
    };
    error.meaning(kind, words)
}

/// The request always has the name: without it, a delete is a flush.
fn named(kind: u16, name: &str) -> Request {
    Request::new(kind, 0, AF_UNSPEC).with(|w| w.put(CTA_TIMEOUT_NAME, &Box::<str>::from(name)))
}

fn new(flags: u16, policy: &TimeoutPolicy) -> Request {
    Request::new(IPCTNL_MSG_TIMEOUT_NEW, flags, AF_UNSPEC).with(|w| policy.encode(w))
}

fn defaults_request(protocol: Protocol) -> Request {
    Request::new(IPCTNL_MSG_TIMEOUT_DEFAULT_GET, 0, AF_UNSPEC)
        .with(|w| encode_protocols(family_of(protocol), protocol, w))
}

fn set_defaults_request(timeouts: &Timeouts) -> Request {
    Request::new(IPCTNL_MSG_TIMEOUT_DEFAULT_SET, 0, AF_UNSPEC)
        .with(|w| encode_timeouts(family_of(timeouts.protocol()), timeouts, w))
}

/// The defaults are shared by both families.
fn family_of(protocol: Protocol) -> Option<Family> {
    (protocol == Protocol::ICMPV6).then_some(Family::Ipv6)
}

#[cfg(test)]
mod tests;
