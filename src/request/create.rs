//! Create: a flow that is not in the table yet.

use std::future::IntoFuture;
use std::sync::Arc;

use super::get::find;
use super::{RequestFuture, Verb, call};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::NewFlow;
use crate::transport::Lanes;
use crate::wire::message::Request;
use crate::wire::uapi::{IPCTNL_MSG_CT_NEW, NLM_F_CREATE, NLM_F_EXCL};

const CREATE: Verb = Verb {
    name: "create",
    doing: "creating a flow",
};

/// A create to be: see [`ConntrackHandle::create`](crate::ConntrackHandle::create).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent before it is awaited"]
pub struct Create {
    lanes: Arc<Lanes>,
    flow: NewFlow,
}

impl Create {
    pub(crate) fn new(lanes: Arc<Lanes>, flow: NewFlow) -> Self {
        Self { lanes, flow }
    }
}

impl IntoFuture for Create {
    type Output = Result<()>;
    type IntoFuture = RequestFuture<()>;

    fn into_future(self) -> RequestFuture<()> {
        let family = self.flow.orig().family();
        CREATE.run(self.lanes, Some(family), move |lanes| async move {
            self.flow.check()?;
            match call(&lanes, request(&self.flow)).await {
                Ok(_) => Ok(()),
                Err(error) => Err(explain(&lanes, &self.flow, error).await),
            }
        })
    }
}

fn request(flow: &NewFlow) -> Request {
    // EXCL: without it, a create of a flow's mirror image would change that flow.
    let flags = NLM_F_CREATE | NLM_F_EXCL;
    Request::new(IPCTNL_MSG_CT_NEW, flags, flow.orig().family().number()).with(|w| flow.encode(w))
}

/// What the errno means for this flow.
async fn explain(lanes: &Lanes, flow: &NewFlow, error: Error) -> Error {
    match error.kind() {
        ErrorKind::AlreadyExists => match find(lanes, &flow.key()).await {
            Ok(None) => error.meaning(
                ErrorKind::AlreadyExists,
                "another flow uses its reply tuple; with NAT, choose a range of addresses or \
                 ports with a free one, or delete that flow",
            ),
            _ => error,
        },
        ErrorKind::NotFound if flow.has_master() => error.meaning(
            ErrorKind::NotFound,
            "its master is not in the table, in that zone",
        ),
        ErrorKind::Unsupported if flow.has_helper() => error.meaning(
            ErrorKind::Unsupported,
            "the kernel has no helper of that name for the flow's protocol and family \
             (its module may have to be loaded)",
        ),
        _ => error,
    }
}
