//! Get many: flows by their keys, many in one send.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;

use super::bulk::reader::Reader;
use super::bulk::source::Source;
use super::{RequestFuture, Verb};
use crate::error::Result;
use crate::flow::FlowKey;
use crate::stream::FoundStream;
use crate::stream::found::Window;
use crate::transport::Lanes;
use crate::transport::bulk::{Bulk as Lane, WINDOW};
use crate::transport::job::Caller;

const GET_MANY: Verb = Verb {
    name: "get_many",
    doing: "getting flows",
};

/// Awaiting it gives a [`FoundStream`]. `.into_future()` gives the future itself, for
/// `tokio::spawn`, `block_on`, `join_all` and `FuturesUnordered`.
///
/// See [`ConntrackHandle::get_many`](crate::ConntrackHandle::get_many).
#[must_use = "nothing is sent before it is awaited"]
pub struct GetMany {
    lanes: Arc<Lanes>,
    keys: Source<FlowKey>,
}

impl GetMany {
    pub(crate) fn new(lanes: Arc<Lanes>, keys: Source<FlowKey>) -> Self {
        Self { lanes, keys }
    }
}

impl IntoFuture for GetMany {
    type Output = Result<FoundStream>;
    type IntoFuture = RequestFuture<FoundStream>;

    fn into_future(self) -> RequestFuture<FoundStream> {
        GET_MANY.run_for_long(self.lanes, None, move |task| async move {
            let (sender, batches) = FoundStream::channel();
            let mut source = self.keys;
            let work = move |lane: &mut Lane, caller: &mut Caller| {
                // Tell the caller that the thread has begun, because the first key may take a long
                // time.
                let _ = sender.blocking_send(Window::new());
                let mut keys = Vec::with_capacity(WINDOW);
                let mut reader = Reader::new(lane);
                loop {
                    source.fill(WINDOW, caller, &mut keys);
                    if keys.is_empty() {
                        return;
                    }
                    let flows = reader.read(&keys);
                    let found = keys.iter().zip(flows).map(|(key, flow)| Ok((*key, flow?)));
                    if sender.blocking_send(found.collect()).is_err() {
                        return;
                    }
                }
            };
            let job = task.lanes.bulk(work)?;
            FoundStream::open(task.lanes.clone(), job, batches).await
        })
    }
}

impl fmt::Debug for GetMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetMany")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
