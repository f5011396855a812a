//! Update: changes a flow that is in the table; never creates one.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use super::get::find;
use super::{RequestFuture, Verb, call};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{FlowKey, Labels, Masked, Patch, ProtoInfo, SeqAdj, Status, SynProxy, TcpState};
use crate::transport::Lanes;
use crate::wire::message::Request;
use crate::wire::uapi::{EBUSY, ENOSPC, EOPNOTSUPP, EPERM, IPCTNL_MSG_CT_NEW};

const UPDATE: Verb = Verb {
    name: "update",
    doing: "updating a flow",
};
const SET_MARK: Verb = Verb {
    name: "set_mark",
    doing: "marking a flow",
};
const SET_LABELS: Verb = Verb {
    name: "set_labels",
    doing: "labelling a flow",
};

/// Reads of the status before it is given up that packets stop changing it: each attempt loses
/// only against one of the flow's few changes of status.
const ATTEMPTS: usize = 8;

/// An update to be: see [`ConntrackHandle::update`](crate::ConntrackHandle::update).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent before it is awaited"]
pub struct Update {
    lanes: Arc<Lanes>,
    verb: Verb,
    key: FlowKey,
    patch: Patch,
}

/// The setters of [`Patch`], for an update by the piece.
macro_rules! setters {
    ($($(#[$meta:meta])* $setter:ident($ty:ty);)+) => {
        impl Update {
            $(
                $(#[$meta])*
                pub fn $setter(mut self, value: $ty) -> Self {
                    self.patch = self.patch.$setter(value);
                    self
                }
            )+
        }
    };
}

setters! {
    /// See [`Patch::mark`].
    mark(impl Into<Masked<u32>>);
    /// See [`Patch::labels`].
    labels(impl Into<Masked<Labels>>);
    /// See [`Patch::timeout`].
    timeout(Duration);
    /// See [`Patch::status`].
    status(Status);
    /// See [`Patch::tcp_state`].
    tcp_state(TcpState);
    /// See [`Patch::protoinfo`].
    protoinfo(impl Into<ProtoInfo>);
    /// See [`Patch::helper`].
    helper(impl Into<Box<str>>);
    /// See [`Patch::seqadj_orig`].
    seqadj_orig(SeqAdj);
    /// See [`Patch::seqadj_reply`].
    seqadj_reply(SeqAdj);
    /// See [`Patch::synproxy`].
    synproxy(SynProxy);
}

impl Update {
    pub(crate) fn new(lanes: Arc<Lanes>, key: FlowKey) -> Self {
        Self {
            lanes,
            verb: UPDATE,
            key,
            patch: Patch::new(),
        }
    }

    pub(crate) fn set_mark(lanes: Arc<Lanes>, key: FlowKey, mark: Masked<u32>) -> Self {
        Self {
            verb: SET_MARK,
            ..Self::new(lanes, key).mark(mark)
        }
    }

    pub(crate) fn set_labels(lanes: Arc<Lanes>, key: FlowKey, labels: Masked<Labels>) -> Self {
        Self {
            verb: SET_LABELS,
            ..Self::new(lanes, key).labels(labels)
        }
    }

    /// All the changes of a patch, in place of those named so far.
    pub fn patch(mut self, patch: Patch) -> Self {
        self.patch = patch;
        self
    }
}

impl IntoFuture for Update {
    type Output = Result<()>;
    type IntoFuture = RequestFuture<()>;

    fn into_future(self) -> RequestFuture<()> {
        let Self {
            lanes,
            verb,
            key,
            patch,
        } = self;
        verb.run(lanes, Some(key.tuple().family()), move |lanes| async move {
            if patch.is_empty() {
                return Err(Error::invalid_input("nothing to change was named"));
            }
            patch.check(key.tuple().protocol())?;
            match apply(&lanes, &key, &patch).await {
                Ok(()) => Ok(()),
                Err(error) => Err(explain(&lanes, &key, &patch, error).await),
            }
        })
    }
}

/// Sends the changes. The kernel wants a status whole, with the bits that the flow has already;
/// where packets set one in between, it says EBUSY.
async fn apply(lanes: &Lanes, key: &FlowKey, patch: &Patch) -> Result<()> {
    let Some(wanted) = patch.wanted_status() else {
        return call(lanes, request(key, patch, None)).await.map(drop);
    };
    let mut before = None;
    for _ in 0..ATTEMPTS {
        let flow = find(lanes, key).await?;
        let Some(current) = flow.map(|flow| flow.status) else {
            break;
        };
        match call(lanes, request(key, patch, Some(whole(current, wanted)))).await {
            Err(error) if error.errno() == Some(EBUSY) && before != Some(current) => {
                before = Some(current);
            }
            result => return result.map(drop),
        }
    }
    // Gone, or never at rest; the kernel's own answer to the bare request is the best there is.
    let status = before.unwrap_or_default();
    call(lanes, request(key, patch, Some(whole(status, wanted))))
        .await
        .map(drop)
}

/// What to send so that `wanted` is set: all that is set, CONFIRMED, and never DYING.
fn whole(current: Status, wanted: Status) -> Status {
    (current | wanted | Status::CONFIRMED) - Status::DYING
}

fn request(key: &FlowKey, patch: &Patch, status: Option<Status>) -> Request {
    // No flags: neither CREATE, which would create, nor EXCL, which would refuse.
    Request::new(IPCTNL_MSG_CT_NEW, 0, key.tuple().family().number()).with(|w| {
        key.encode(w);
        patch.encode(status, w);
    })
}

/// What the errno means for these changes.
async fn explain(lanes: &Lanes, key: &FlowKey, patch: &Patch, error: Error) -> Error {
    match error.errno() {
        Some(ENOSPC) if patch.sets_labels() => error.meaning(
            ErrorKind::LabelsUnavailable,
            "the flow has no room for labels: when it was made, no rule of the namespace used \
             them; add one (nft: `ct label set 0` in any chain, hooked or not), and flows made \
             from then on have it",
        ),
        Some(EBUSY) if patch.sets_helper() => error.meaning(
            ErrorKind::Busy,
            "a flow's helper cannot be replaced by another, set again once it was taken away, \
             or changed on a flow that was expected",
        ),
        Some(EBUSY) if patch.wanted_status().is_some() => error.meaning(
            ErrorKind::Busy,
            "the flow is dying, or its status changed each time it was read",
        ),
        Some(EOPNOTSUPP) if patch.sets_helper() => error.meaning(
            ErrorKind::Unsupported,
            "the flow was made without a helper, and none can be added; or the kernel has none \
             of that name for it",
        ),
        Some(EPERM) if patch.sets_timeout() => match find(lanes, key).await {
            Ok(Some(flow)) if flow.status.contains(Status::FIXED_TIMEOUT) => error.meaning(
                ErrorKind::PermissionDenied,
                "the flow's timeout is fixed (FIXED_TIMEOUT), and cannot be changed",
            ),
            _ => error,
        },
        _ => error,
    }
}
