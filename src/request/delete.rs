//! Delete: one flow by its key.

use std::future::IntoFuture;
use std::sync::Arc;

use super::{RequestFuture, Verb, call};
use crate::error::Result;
use crate::flow::FlowKey;
use crate::transport::Lanes;
use crate::wire::message::Request;
use crate::wire::uapi::IPCTNL_MSG_CT_DELETE;

const DELETE: Verb = Verb {
    name: "delete",
    doing: "deleting a flow",
};

/// A delete to be: see [`ConntrackHandle::delete`](crate::ConntrackHandle::delete).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent before it is awaited"]
pub struct Delete {
    lanes: Arc<Lanes>,
    key: FlowKey,
}

impl Delete {
    pub(crate) fn new(lanes: Arc<Lanes>, key: FlowKey) -> Self {
        Self { lanes, key }
    }
}

impl IntoFuture for Delete {
    type Output = Result<()>;
    type IntoFuture = RequestFuture<()>;

    fn into_future(self) -> RequestFuture<()> {
        let family = self.key.tuple().family();
        DELETE.run(self.lanes, Some(family), move |lanes| async move {
            call(&lanes, request(&self.key)).await.map(drop)
        })
    }
}

/// The key's tuple is always whole, and always there: without one the kernel would flush.
fn request(key: &FlowKey) -> Request {
    Request::new(IPCTNL_MSG_CT_DELETE, 0, key.tuple().family().number()).with(|w| {
        key.encode(w);
        key.encode_id(w);
    })
}
