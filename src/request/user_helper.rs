//! The verbs for helpers in user space.

use std::sync::Arc;

use super::dump::dump;
use super::{RequestFuture, Task};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::Lanes;
use crate::user_helper::{UserHelper, UserHelperKey};
use crate::wire::message::Request;
use crate::wire::uapi::*;

verbs! {
    LIST = "user_helper_list", "listing the helpers in user space";
    GET = "user_helper_get", "getting a helper in user space";
    CREATE = "user_helper_create", "creating a helper in user space";
    UPDATE = "user_helper_update", "updating a helper in user space";
    DELETE = "user_helper_delete", "deleting a helper in user space";
    FLUSH = "user_helper_flush", "flushing the helpers in user space";
}

pub(crate) fn list(lanes: Arc<Lanes>) -> RequestFuture<Vec<UserHelper>> {
    LIST.run(lanes, None, |task| async move {
        let request = Request::new(NFNL_MSG_CTHELPER_GET, NLM_F_DUMP, AF_UNSPEC);
        dump(&task, request, UserHelper::decode)
            .await
            .map_err(explain)
    })
}

pub(crate) fn get(lanes: Arc<Lanes>, key: UserHelperKey) -> RequestFuture<Option<UserHelper>> {
    GET.run(lanes, key.family, move |task| async move {
        key.check()?;
        find(&task, &key).await
    })
}

pub(crate) fn create(lanes: Arc<Lanes>, helper: UserHelper) -> RequestFuture<()> {
    CREATE.run(lanes, helper.key.family, move |task| async move {
        helper.check()?;
        let created = task.call(new(NLM_F_CREATE | NLM_F_EXCL, &helper)).await;
        created.map(drop).map_err(|error| match error.errno() {
            Some(EBUSY) => error.meaning(
                ErrorKind::Busy,
                "the kernel has a helper of its own of this name for the protocol: unload its \
                 module first (nf_conntrack_NAME)",
            ),
            _ => explain(error),
        })
    })
}

pub(crate) fn update(lanes: Arc<Lanes>, helper: UserHelper) -> RequestFuture<()> {
    UPDATE.run(lanes, helper.key.family, move |task| async move {
        helper.check()?;
        // An update of a helper that does not exist would create it.
        find(&task, &helper.key).await?.ok_or_else(not_found)?;
        let updated = task.call(new(0, &helper)).await;
        updated.map(drop).map_err(|error| match error.errno() {
            Some(EBUSY) => error.meaning(
                ErrorKind::Busy,
                "number and names of a helper's policies, and its room for private data, never \
                 change: delete it and create it anew",
            ),
            _ => explain(error),
        })
    })
}

pub(crate) fn delete(lanes: Arc<Lanes>, key: UserHelperKey) -> RequestFuture<()> {
    DELETE.run(lanes, key.family, move |task| async move {
        key.check()?;
        // If there are no helpers at all, the kernel reports a delete as done.
        find(&task, &key).await?.ok_or_else(not_found)?;
        // The kernel walks its table for flows that have the helper.
        let request = named(NFNL_MSG_CTHELPER_DEL, &key);
        task.flush(request).await.map_err(explain)
    })
}

pub(crate) fn flush(lanes: Arc<Lanes>) -> RequestFuture<()> {
    FLUSH.run(lanes, None, |task| async move {
        let request = Request::new(NFNL_MSG_CTHELPER_DEL, 0, AF_UNSPEC);
        task.flush(request).await.map_err(explain)
    })
}

async fn find(task: &Task, key: &UserHelperKey) -> Result<Option<UserHelper>> {
    let found = match task.call(named(NFNL_MSG_CTHELPER_GET, key)).await {
        // If the kernel finds no helper, it may answer with only an ACK.
        Ok(None) => return Ok(None),
        Ok(Some(data)) => Error::reading(&data, UserHelper::decode),
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => Err(error),
    };
    found.map(Some).map_err(explain)
}

fn not_found() -> Error {
    explain(Error::not_found())
}

/// Explains what the errno means for a helper. Our requests are complete, so EINVAL means that the
/// subsystem is missing.
fn explain(error: Error) -> Error {
    let (kind, words) = match error.errno() {
        Some(ENOENT) => (
            ErrorKind::NotFound,
            "there is no helper in user space of this name for the protocol",
        ),
        Some(EEXIST) => (
            ErrorKind::AlreadyExists,
            "there is such a helper in user space already; an update changes it",
        ),
        Some(EBUSY) => (
            ErrorKind::Busy,
            "a rule uses the helper: remove the rule first",
        ),
        Some(EPERM) => (
            ErrorKind::PermissionDenied,
            "CAP_NET_ADMIN is needed in the initial user namespace: helpers in user space are the \
             machine's, not a network namespace's",
        ),
        Some(EINVAL | EOPNOTSUPP) => (
            ErrorKind::Unsupported,
            "this kernel has no helpers in user space (CONFIG_NF_CT_NETLINK_HELPER, module \
             nfnetlink_cthelper)",
        ),
        _ => return error,
    };
    error.meaning(kind, words)
}

/// The request always has the name and the protocols: without them, a delete is a flush.
fn named(kind: u16, key: &UserHelperKey) -> Request {
    Request::new(kind, 0, AF_UNSPEC).with(|w| key.encode(w))
}

fn new(flags: u16, helper: &UserHelper) -> Request {
    Request::new(NFNL_MSG_CTHELPER_NEW, flags, AF_UNSPEC).with(|w| helper.encode(w))
}

#[cfg(test)]
mod tests;
