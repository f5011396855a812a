//! Create: an expectation for a flow that has a helper.

use std::sync::Arc;

use super::update_request;
use crate::error::{Error, ErrorKind, Result};
use crate::expectation::NewExpectation;
use crate::flow::accounting::check_seconds;
use crate::request::{RequestFuture, Verb};
use crate::transport::Lanes;
use crate::wire::message::Request;
use crate::wire::uapi::*;

const CREATE: Verb = Verb {
    name: "expectation_create",
    doing: "creating an expectation",
};

pub(crate) fn create(lanes: Arc<Lanes>, expectation: NewExpectation) -> RequestFuture<()> {
    let family = expectation.tuple().family();
    CREATE.run(lanes, Some(family), move |task| async move {
        expectation.check()?;
        if let Some(timeout) = expectation.get_timeout() {
            check_seconds("timeout", timeout)?;
        }
        let created = task.call(request(&expectation)).await;
        created.map_err(|error| explain(&expectation, error))?;
        let Some(timeout) = expectation.get_timeout() else {
            return Ok(());
        };
        // The kernel ignores the timeout of a create.
        let set = task.call(update_request(&expectation.key(), timeout)).await;
        after_create(set.map(drop))
    })
}

pub(super) fn request(expectation: &NewExpectation) -> Request {
    let family = expectation.tuple().family().number();
    // EXCL: do not change an expectation that exists already.
    Request::new(IPCTNL_MSG_EXP_NEW, NLM_F_CREATE | NLM_F_EXCL, family)
        .with(|w| expectation.encode(w))
}

/// If a packet has matched the expectation already, it was still created.
fn after_create(set: Result<()>) -> Result<()> {
    match set {
        Err(error) if matches!(error.errno(), Some(ENOENT | ETIME)) => Ok(()),
        set => set,
    }
}

/// Explains what the errno means for a create.
pub(super) fn explain(expectation: &NewExpectation, error: Error) -> Error {
    let (kind, words) = match error.errno() {
        Some(ENOENT) => (ErrorKind::NotFound, "its master is not in the table"),
        Some(EOPNOTSUPP) => (
            ErrorKind::Unsupported,
            "its master has no helper, and only a flow with a helper can expect another: make \
             the master with one (NewFlow::helper, or a rule: nft `ct helper set`); or the kernel \
             has no helper of the name that was given",
        ),
        Some(ESHUTDOWN) => (ErrorKind::Unsupported, "its master's helper was removed"),
        Some(EEXIST) => (
            ErrorKind::AlreadyExists,
            "an expectation that this tuple meets is there already",
        ),
        Some(EALREADY) => (
            ErrorKind::AlreadyExists,
            "the same packets are expected already, by another master or in another class",
        ),
        Some(EBUSY) => (
            ErrorKind::Busy,
            "packets that meet it would meet another expectation too",
        ),
        Some(EMFILE) => (
            ErrorKind::TableFull,
            "there are too many expectations (nf_conntrack_expect_max), or too many of this master",
        ),
        Some(EINVAL) if expectation.needs_more() => (
            ErrorKind::Unsupported,
            "the master's helper has no such class, or the kernel has no such function",
        ),
        _ => return error,
    };
    error.meaning(kind, words)
}
