//! Get: one flow by its key.

use std::future::IntoFuture;
use std::sync::Arc;

use super::{RequestFuture, Task, Verb};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Flow, FlowKey};
use crate::transport::Lanes;
use crate::transport::queue::{Reply, Step, Steps, Work};
use crate::wire::message::Request;
use crate::wire::uapi::*;

pub(super) const GET: Verb = Verb {
    name: "get",
    doing: "getting a flow",
};

/// Awaiting it gives the [`Flow`], or `None`. `.into_future()` gives the future itself, for
/// `tokio::spawn`, `block_on`, `join_all` and `FuturesUnordered`.
///
/// See [`ConntrackHandle::get`](crate::ConntrackHandle::get).
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

    /// Also sets the flow's counters to zero, `-z`. It returns their last values: no packet is counted
    /// twice or lost. `IPCTNL_MSG_CT_GET_CTRZERO`.
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
        GET.run(self.lanes, Some(family), move |task| async move {
            match self.zero_counters {
                true => read(&task, &self.key, zero(self.key)).await,
                false => find(&task, &self.key).await,
            }
        })
    }
}

/// The kernel also finds a flow by this tuple that the key does not name. To keep that flow's
/// counters, the flow is read first.
fn zero(key: FlowKey) -> Work {
    let look = request(&key, IPCTNL_MSG_CT_GET);
    after_look(look, move |reply| {
        let flow = found(reply)?;
        let flow = flow.and_then(|flow| named(&key, flow));
        Ok(flow.map(|_| request(&key, IPCTNL_MSG_CT_GET_CTRZERO)))
    })
}

/// Reads a flow first, and then sends the request that `then` returns. If `then` returns `None`,
/// the answer to the read is the result.
pub(super) fn after_look(
    look: Request,
    then: impl FnOnce(&Reply) -> Result<Option<Request>> + Send + 'static,
) -> Work {
    struct Look<F>(Option<F>);

    impl<F: FnOnce(&Reply) -> Result<Option<Request>> + Send> Steps for Look<F> {
        fn next(&mut self, reply: Reply) -> Step {
            let then = self.0.take().map(|then| then(&reply));
            match then {
                Some(Ok(Some(request))) => Step::Send(request),
                Some(Err(error)) => Step::Done(Err(error)),
                Some(Ok(None)) | None => Step::Done(Ok(reply)),
            }
        }
    }

    Work {
        request: look,
        steps: Some(Box::new(Look(Some(then)))),
    }
}

/// The flow in an answer.
pub(super) fn found(reply: &Reply) -> Result<Option<Flow>> {
    match &reply.data {
        Some(data) if reply.verdict.errno == 0 => Flow::from_message(data).map(Some),
        _ => Ok(None),
    }
}

/// Reads the flow that the key names.
pub(super) async fn find(task: &Task, key: &FlowKey) -> Result<Option<Flow>> {
    read(task, key, request(key, IPCTNL_MSG_CT_GET).into()).await
}

async fn read(task: &Task, key: &FlowKey, work: Work) -> Result<Option<Flow>> {
    let data = match task.call_about(key.tuple(), work).await {
        Ok(data) => data.ok_or_else(Error::unanswered)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(named(key, Flow::from_message(&data)?))
}

/// The flow, if it is the one that the key names.
pub(super) fn named(key: &FlowKey, flow: Flow) -> Option<Flow> {
    key.names(&flow).then_some(flow)
}

pub(super) fn request(key: &FlowKey, kind: u16) -> Request {
    Request::written(|bytes| write(key, kind, bytes))
}

pub(super) fn write(key: &FlowKey, kind: u16, bytes: &mut Vec<u8>) {
    // No create flags: they have the same values as NLM_F_DUMP, and would make it a list.
    let family = key.tuple().family().number();
    Request::write(bytes, kind, 0, family, |w| key.encode(w));
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;
    use crate::flow::{IcmpEcho, Tuple, Zone};
    use crate::wire::golden::assert_bytes;

    fn udp() -> Tuple {
        let ends = (
            "10.0.0.1:1000".parse().unwrap(),
            "10.0.0.2:2000".parse().unwrap(),
        );
        Tuple::udp(ends.0, ends.1).unwrap()
    }

    #[test]
    fn by_the_original_tuple() {
        let get = request(&udp().into(), IPCTNL_MSG_CT_GET);
        assert_bytes(
            &get.finish(7),
            "48000000 0101 0500 07000000 00000000  02 00 0000
             3400 0180  1400 0180  0800 0100 0a000001  0800 0200 0a000002
                        1c00 0280  0500 0100 11000000  0600 0200 03e80000  0600 0300 07d00000",
        );
    }

    #[test]
    fn by_the_reply_tuple_in_a_zone_with_its_counters_zeroed() {
        let key = FlowKey::reply(udp()).zone(5);
        let get = request(&key, IPCTNL_MSG_CT_GET_CTRZERO);
        assert_bytes(
            &get.finish(8),
            "50000000 0301 0500 08000000 00000000  02 00 0000
             3400 0280  1400 0180  0800 0100 0a000001  0800 0200 0a000002
                        1c00 0280  0500 0100 11000000  0600 0200 03e80000  0600 0300 07d00000
             0600 1200 00050000",
        );
    }

    #[test]
    fn in_the_zone_of_one_direction() {
        let key = FlowKey::orig(udp()).zone(Zone::orig(7));
        assert_bytes(
            &request(&key, IPCTNL_MSG_CT_GET).finish(9),
            "50000000 0101 0500 09000000 00000000  02 00 0000
             3c00 0180  1400 0180  0800 0100 0a000001  0800 0200 0a000002
                        1c00 0280  0500 0100 11000000  0600 0200 03e80000  0600 0300 07d00000
                        0600 0300 00070000",
        );
    }

    #[test]
    fn of_icmpv6_and_of_a_protocol_without_ports() {
        let (src, dst) = ("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap());
        let ping = Tuple::icmpv6(src, dst, IcmpEcho::request_v6(0x1234)).unwrap();
        assert_bytes(
            &request(&ping.into(), IPCTNL_MSG_CT_GET).finish(1),
            "68000000 0101 0500 01000000 00000000  0a 00 0000
             5400 0180
               2c00 0180  1400 0300 fd000000 00000000 00000000 00000001
                          1400 0400 fd000000 00000000 00000000 00000002
               2400 0280  0500 0100 3a000000  0600 0700 12340000
                          0500 0800 80000000  0500 0900 00000000",
        );
        let (src, dst) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let ospf = Tuple::generic(src, dst, 89).unwrap();
        assert_bytes(
            &request(&ospf.into(), IPCTNL_MSG_CT_GET).finish(1),
            "38000000 0101 0500 01000000 00000000  02 00 0000
             2400 0180  1400 0180  0800 0100 0a000001  0800 0200 0a000002
                        0c00 0280  0500 0100 59000000",
        );
    }
}
