//! Get: one flow by its key.

use std::future::IntoFuture;
use std::sync::Arc;

use super::{RequestFuture, Verb, call};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Flow, FlowKey};
use crate::transport::Lanes;
use crate::wire::message::Request;
use crate::wire::uapi::*;

const GET: Verb = Verb {
    name: "get",
    doing: "getting a flow",
};

/// A get to be: see [`ConntrackHandle::get`](crate::ConntrackHandle::get).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent before it is awaited"]
pub struct Get {
    lanes: Arc<Lanes>,
    key: FlowKey,
    zero_counters: bool,
}

impl Get {
    pub(crate) fn new(lanes: Arc<Lanes>, key: FlowKey) -> Self {
        Self {
            lanes,
            key,
            zero_counters: false,
        }
    }

    /// Sets the flow's counters to zero in the same step, `-z`: no packet is counted twice or
    /// not at all. `IPCTNL_MSG_CT_GET_CTRZERO`.
    pub fn zero_counters(mut self) -> Self {
        self.zero_counters = true;
        self
    }
}

impl IntoFuture for Get {
    type Output = Result<Option<Flow>>;
    type IntoFuture = RequestFuture<Option<Flow>>;

    fn into_future(self) -> RequestFuture<Option<Flow>> {
        let family = self.key.tuple().family();
        GET.run(self.lanes, Some(family), move |lanes| async move {
            let kind = match self.zero_counters {
                true => IPCTNL_MSG_CT_GET_CTRZERO,
                false => IPCTNL_MSG_CT_GET,
            };
            read(&lanes, &self.key, kind).await
        })
    }
}

/// The flow that the key names, as it is now.
pub(super) async fn find(lanes: &Lanes, key: &FlowKey) -> Result<Option<Flow>> {
    read(lanes, key, IPCTNL_MSG_CT_GET).await
}

async fn read(lanes: &Lanes, key: &FlowKey, kind: u16) -> Result<Option<Flow>> {
    let data = match call(lanes, request(key, kind)).await {
        Ok(data) => data.ok_or_else(Error::unanswered)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let flow = Flow::from_message(&data)?;
    Ok(key.names(&flow).then_some(flow))
}

fn request(key: &FlowKey, kind: u16) -> Request {
    // No flag of a create: they have the numbers of NLM_F_DUMP, and would make it a list.
    Request::new(kind, 0, key.tuple().family().number()).with(|w| key.encode(w))
}
