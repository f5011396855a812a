//! Delete: one flow by its key.

use std::future::IntoFuture;
use std::sync::Arc;

use super::get::{self, after_look, found, named};
use super::{RequestFuture, Verb};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::FlowKey;
use crate::transport::Lanes;
use crate::wire::message::Request;
use crate::wire::uapi::{EBUSY, IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_GET};

pub(super) const DELETE: Verb = Verb {
    name: "delete",
    doing: "deleting a flow",
};

/// Awaiting it gives `()` once the flow is gone. `.into_future()` gives the future itself, for
/// `tokio::spawn`, `block_on`, `join_all` and `FuturesUnordered`.
///
/// See [`ConntrackHandle::delete`](crate::ConntrackHandle::delete).
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
            let key = self.key;
            let work = match key.has_id() {
                true => request(&key).into(),
                // With the tuple alone, the kernel would also delete a flow that has it in the
                // other direction.
                false => after_look(get::request(&key, IPCTNL_MSG_CT_GET), move |reply| {
                    Error::check(reply.verdict.clone())?;
                    let flow = found(reply)?.ok_or_else(Error::unanswered)?;
                    let flow = named(&key, flow).ok_or_else(Error::not_found)?;
                    Ok(Some(request(&FlowKey::from(&flow))))
                }),
            };
            let deleted = task.call_about(key.tuple(), work).await;
            deleted.map(drop).map_err(explain)
        })
    }
}

/// Explains what the errno means for a delete.
pub(super) fn explain(error: Error) -> Error {
    match error.errno() {
        Some(EBUSY) => error.meaning(
            ErrorKind::Busy,
            "the packets of the flow go through a flow table, and this kernel keeps the flow until \
             they no longer do",
        ),
        _ => error,
    }
}

/// The request always has a whole tuple: without one, the kernel would flush the table.
pub(super) fn request(key: &FlowKey) -> Request {
    Request::written(|bytes| write(key, bytes))
}

pub(super) fn write(key: &FlowKey, bytes: &mut Vec<u8>) {
    let family = key.tuple().family().number();
    Request::write(bytes, IPCTNL_MSG_CT_DELETE, 0, family, |w| {
        key.encode(w);
        key.encode_id(w);
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::filter::tests::arbitrary::flow;
    use crate::testing::judge::Kernel;
    use crate::wire::attr::{Attribute, Attributes};
    use crate::wire::message::{Frame, Verdict};
    use crate::wire::uapi::*;

    fn find(mut attributes: Attributes<'_>, kind: u16) -> Option<Attribute<'_>> {
        std::iter::from_fn(|| attributes.next().unwrap()).find(|attr| attr.kind == kind)
    }

    #[test]
    fn an_offloaded_flow_may_be_kept() {
        let error = explain(Error::refused(Verdict::of(EBUSY)));
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains("flow table"), "{error}");
        assert_eq!(explain(Error::not_found()).kind(), ErrorKind::NotFound);
    }

    proptest! {
        /// No kernel mistakes it for a flush, whatever the key is.
        #[test]
        fn has_a_whole_tuple_always(mut flow in flow(), other in flow(), with_id: bool) {
            let id = flow.id.filter(|_| with_id);
            flow.id = id;
            let mut successor = flow.clone();
            successor.id = id.map(|id| (!u32::from(id)).into());
            let orig = FlowKey::from(&flow);
            let reply = FlowKey::reply(flow.reply).zone(flow.zone);
            for key in [orig, id.map_or(reply, |id| reply.id(id))] {
                let request = request(&key).finish(1);
                let attributes = Frame::first(&request).unwrap().unwrap().attributes().unwrap();
                let tuple = find(attributes, CTA_TUPLE_ORIG).or(find(attributes, CTA_TUPLE_REPLY));
                let tuple = tuple.expect("a tuple").nest();
                for (nest, attributes) in [(CTA_TUPLE_IP, 2), (CTA_TUPLE_PROTO, 1)] {
                    let mut inside = find(tuple, nest).expect("a nest").nest();
                    for _ in 0..attributes {
                        prop_assert!(inside.next().unwrap().is_some());
                    }
                }
                prop_assert!(find(attributes, CTA_FILTER).is_none());
                let can_have = |it: &Kernel| it.zones || flow.zone.id() == 0;
                for kernel in Kernel::all().filter(can_have) {
                    prop_assert_eq!(kernel.removes(&request, &flow), Ok(true), "{:?}", kernel);
                    prop_assert_eq!(kernel.removes(&request, &other), Err(ENOENT), "{:?}", kernel);
                    prop_assert_eq!(kernel.removes(&request, &successor).is_err(), id.is_some());
                }
            }
        }
    }
}

#[cfg(all(test, target_endian = "little"))]
mod golden {
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
