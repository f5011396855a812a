//! Delete: one flow by its key.

use std::future::IntoFuture;
use std::sync::Arc;

use super::get::find;
use super::{RequestFuture, Verb};
use crate::error::{Error, Result};
use crate::flow::FlowKey;
use crate::transport::Lanes;
use crate::wire::message::Request;
use crate::wire::uapi::IPCTNL_MSG_CT_DELETE;

pub(super) const DELETE: Verb = Verb {
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
        DELETE.run(self.lanes, Some(family), move |task| async move {
            let key = match self.key.has_id() {
                true => self.key,
                // By the tuple alone the kernel also takes a flow whose other direction it is.
                false => match find(&task, &self.key).await? {
                    Some(flow) => FlowKey::from(&flow),
                    None => return Err(Error::not_found()),
                },
            };
            task.call(request(&key)).await.map(drop)
        })
    }
}

/// The key's tuple is always whole, and always there: without one the kernel would flush.
pub(super) fn request(key: &FlowKey) -> Request {
    Request::new(IPCTNL_MSG_CT_DELETE, 0, key.tuple().family().number()).with(|w| {
        key.encode(w);
        key.encode_id(w);
    })
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;
    use crate::flow::{Flow, Tuple};
    use crate::wire::golden::{assert_bytes, reply};

    #[test]
    fn by_a_tuple() {
        let ends = (
            "10.0.0.1:1000".parse().unwrap(),
            "10.0.0.2:2000".parse().unwrap(),
        );
        let key = Tuple::udp(ends.0, ends.1).unwrap().into();
        assert_bytes(
            &request(&key).finish(3),
            "48000000 0201 0500 03000000 00000000  02 00 0000
             3400 0180  1400 0180  0800 0100 0a000001  0800 0200 0a000002
                        1c00 0280  0500 0100 11000000  0600 0200 03e80000  0600 0300 07d00000",
        );
    }

    #[test]
    fn of_a_listed_flow_that_one_alone() {
        let flow = Flow::from_message(&reply("zone")).unwrap();
        assert_bytes(
            &request(&FlowKey::from(&flow)).finish(4),
            "58000000 0201 0500 04000000 00000000  02 00 0000
             3400 0180  1400 0180  0800 0100 7f000001  0800 0200 7f000001
                        1c00 0280  0500 0100 11000000  0600 0200 a0320000  0600 0300 23320000
             0600 1200 00050000
             0800 0c00 767b9808",
        );
    }
}
