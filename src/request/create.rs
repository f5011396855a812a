//! Create: a flow that is not in the table yet.

use std::future::IntoFuture;
use std::sync::Arc;

use super::get::find;
use super::{RequestFuture, Verb};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Flow, FlowKey, NewFlow};
use crate::transport::Lanes;
use crate::wire::message::Request;
use crate::wire::uapi::{ENOMEM, IPCTNL_MSG_CT_NEW, NLM_F_CREATE, NLM_F_EXCL};

pub(super) const CREATE: Verb = Verb {
    name: "create",
    doing: "creating a flow",
};

/// Awaiting it gives `()` once the flow is there. `.into_future()` gives the future itself, for
/// `tokio::spawn`, `block_on`, `join_all` and `FuturesUnordered`.
///
/// See [`ConntrackHandle::create`](crate::ConntrackHandle::create).
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
        CREATE.run(self.lanes, Some(family), move |task| async move {
            self.flow.check()?;
            let Err(error) = task.call_about(self.flow.orig(), request(&self.flow)).await else {
                return Ok(());
            };
            let found = match explained_by_flow(&error) {
                true => Some(find(&task, &FlowKey::from(&self.flow)).await),
                false => None,
            };
            Err(explain(&self.flow, found, error))
        })
    }
}

pub(super) fn request(flow: &NewFlow) -> Request {
    Request::written(|bytes| write(flow, bytes))
}

pub(super) fn write(flow: &NewFlow, bytes: &mut Vec<u8>) {
    // EXCL: without it, a create with the inverse tuple of a flow would change that flow.
    let flags = NLM_F_CREATE | NLM_F_EXCL;
    let family = flow.orig().family().number();
    Request::write(bytes, IPCTNL_MSG_CT_NEW, flags, family, |w| flow.encode(w));
}

/// Does [`explain`] need the flow that is in the table?
pub(super) fn explained_by_flow(error: &Error) -> bool {
    error.kind() == ErrorKind::AlreadyExists
}

/// Explains what the errno means for this flow. `found` is the flow with its key in the table, if
/// it was looked up.
pub(super) fn explain(flow: &NewFlow, found: Option<Result<Option<Flow>>>, error: Error) -> Error {
    match error.kind() {
        _ if error.errno() == Some(ENOMEM) => error.meaning(
            ErrorKind::TableFull,
            "the table is full (nf_conntrack_max) or the kernel is out of memory",
        ),
        ErrorKind::AlreadyExists => match found {
            Some(Ok(None)) => error.meaning(
                ErrorKind::AlreadyExists,
                "another flow uses its reply tuple; with NAT, choose a range of addresses or ports \
                 with a free one, or delete that flow",
            ),
            Some(_) => error,
            None => error.meaning(
                ErrorKind::AlreadyExists,
                "the flow, or another that uses one of its tuples, is in the table already",
            ),
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

#[cfg(test)]
mod words {
    use super::*;
    use crate::flow::Tuple;
    use crate::wire::message::Verdict;
    use crate::wire::uapi::{EEXIST, ENOENT, EOPNOTSUPP};

    #[test]
    fn an_errno_is_told_with_the_reason() {
        let address = |last| std::net::IpAddr::from([10, 0, 0, last]);
        let tuple = Tuple::generic(address(1), address(2), 89).expect("a tuple");
        let flow = NewFlow::new(tuple, std::time::Duration::from_secs(9));
        let flow = flow.helper("ftp").master(tuple);
        let there = || Some(Ok(Some(Flow::new(tuple, tuple.inverse()))));
        for (errno, found, kind, word) in [
            (ENOMEM, None, ErrorKind::TableFull, "nf_conntrack_max"),
            (EEXIST, None, ErrorKind::AlreadyExists, "or another"),
            (EEXIST, there(), ErrorKind::AlreadyExists, "the flow is in"),
            (
                EEXIST,
                Some(Ok(None)),
                ErrorKind::AlreadyExists,
                "reply tuple",
            ),
            (ENOENT, None, ErrorKind::NotFound, "its master"),
            (
                EOPNOTSUPP,
                None,
                ErrorKind::Unsupported,
                "no helper of that name",
            ),
        ] {
            let error = explain(&flow, found, Error::refused(Verdict::of(errno)));
            assert_eq!((error.kind(), error.errno()), (kind, Some(errno)));
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::flow::{Labels, Nat, SctpInfo, SctpState, Status, TcpState, Tuple, Zone};
    use crate::wire::golden::{assert_bytes, reply};

    const UDP: &str = "
        3400 0180  1400 0180  0800 0100 0a000001  0800 0200 0a000002
                   1c00 0280  0500 0100 11000000  0600 0200 03e80000  0600 0300 07d00000
        3400 0280  1400 0180  0800 0100 0a000002  0800 0200 0a000001
                   1c00 0280  0500 0100 11000000  0600 0200 07d00000  0600 0300 03e80000";

    fn tuple(make: fn(std::net::SocketAddr, std::net::SocketAddr) -> Result<Tuple>) -> Tuple {
        make(
            "10.0.0.1:1000".parse().unwrap(),
            "10.0.0.2:2000".parse().unwrap(),
        )
        .unwrap()
    }

    fn new(tuple: Tuple) -> NewFlow {
        NewFlow::new(tuple, Duration::from_secs(600))
    }

    #[test]
    fn udp_with_a_mark() {
        let flow = new(tuple(Tuple::udp)).mark(5);
        assert_bytes(
            &request(&flow).finish(1),
            &format!(
                "8c000000 0001 0506 01000000 00000000  02 00 0000 {UDP}
                 0800 0700 00000258  0800 0800 00000005"
            ),
        );
    }

    #[test]
    fn tcp_that_real_packets_can_use() {
        let flow = new(tuple(Tuple::tcp))
            .tcp_state(TcpState::ESTABLISHED)
            .status(Status::SEEN_REPLY | Status::ASSURED);
        assert_bytes(
            &request(&flow).finish(1),
            "ac000000 0001 0506 01000000 00000000  02 00 0000
             3400 0180  1400 0180  0800 0100 0a000001  0800 0200 0a000002
                        1c00 0280  0500 0100 06000000  0600 0200 03e80000  0600 0300 07d00000
             3400 0280  1400 0180  0800 0100 0a000002  0800 0200 0a000001
                        1c00 0280  0500 0100 06000000  0600 0200 07d00000  0600 0300 03e80000
             0800 0700 00000258
             0800 0300 0000000e
             2000 0480  1c00 0180  0500 0100 03000000  0600 0400 0a0a0000  0600 0500 0a0a0000",
        );
    }

    #[test]
    fn zones_labels_and_a_helper() {
        let flow = new(tuple(Tuple::udp))
            .zone(5)
            .helper("tftp")
            .labels(Labels::bit(8).unwrap());
        assert_bytes(
            &request(&flow).finish(1),
            &format!(
                "c4000000 0001 0506 01000000 00000000  02 00 0000 {UDP}
                 0600 1200 00050000
                 1000 0580  0900 0100 74667470 00000000
                 0800 0700 00000258
                 1400 1600 00010000 00000000 00000000 00000000
                 1400 1700 ffffffff ffffffff ffffffff ffffffff"
            ),
        );
        let flow = new(tuple(Tuple::udp)).zone(Zone::reply(7));
        assert_bytes(
            &request(&flow).finish(1),
            "8c000000 0001 0506 01000000 00000000  02 00 0000
             3400 0180  1400 0180  0800 0100 0a000001  0800 0200 0a000002
                        1c00 0280  0500 0100 11000000  0600 0200 03e80000  0600 0300 07d00000
             3c00 0280  1400 0180  0800 0100 0a000002  0800 0200 0a000001
                        1c00 0280  0500 0100 11000000  0600 0200 07d00000  0600 0300 03e80000
                        0600 0300 00070000
             0800 0700 00000258",
        );
    }

    #[test]
    fn translation() {
        let any = |min: &str, max: &str| min.parse().unwrap()..=max.parse().unwrap();
        let flow = new(tuple(Tuple::udp))
            .source_nat(Nat::to_any(any("192.0.2.1", "192.0.2.9")).ports(6000..=6010))
            .destination_nat(Nat::to(std::net::Ipv4Addr::new(192, 0, 2, 77)));
        assert_bytes(
            &request(&flow).finish(1),
            &format!(
                "c0000000 0001 0506 01000000 00000000  02 00 0000 {UDP}
                 2800 0680  0800 0100 c0000201  0800 0200 c0000209
                            1400 0380  0600 0100 17700000  0600 0200 177a0000
                 1400 0d80  0800 0100 c000024d  0800 0200 c000024d
                 0800 0700 00000258"
            ),
        );
    }

    #[test]
    fn a_translated_flow_again() {
        let flow = Flow::from_message(&reply("source_nat")).unwrap();
        assert_bytes(
            &request(&NewFlow::from(&flow)).finish(1),
            "b4000000 0001 0506 01000000 00000000  02 00 0000
             3400 0180  1400 0180  0800 0100 7f000001  0800 0200 7f000001
                        1c00 0280  0500 0100 11000000  0600 0200 a0280000  0600 0300 23280000
             3400 0280  1400 0180  0800 0100 7f000001  0800 0200 7f000001
                        1c00 0280  0500 0100 11000000  0600 0200 23280000  0600 0300 a0280000
             2800 0680  0800 0100 c000024d  0800 0200 c000024d
                        1400 0380  0600 0100 17710000  0600 0200 17710000
             0800 0700 0000001d
             0800 0800 00000000",
        );
    }

    #[test]
    fn an_expected_sctp_flow() {
        let flow = new(tuple(Tuple::sctp))
            .master(tuple(Tuple::tcp))
            .protoinfo(SctpInfo {
                state: SctpState::ESTABLISHED,
                vtag_orig: Some(11),
                vtag_reply: Some(22),
            });
        assert_bytes(
            &request(&flow).finish(1),
            "d8000000 0001 0506 01000000 00000000  02 00 0000
             3400 0180  1400 0180  0800 0100 0a000001  0800 0200 0a000002
                        1c00 0280  0500 0100 84000000  0600 0200 03e80000  0600 0300 07d00000
             3400 0280  1400 0180  0800 0100 0a000002  0800 0200 0a000001
                        1c00 0280  0500 0100 84000000  0600 0200 07d00000  0600 0300 03e80000
             3400 0e80  1400 0180  0800 0100 0a000001  0800 0200 0a000002
                        1c00 0280  0500 0100 06000000  0600 0200 03e80000  0600 0300 07d00000
             0800 0700 00000258
             2000 0480  1c00 0380  0500 0100 04000000  0800 0200 0000000b  0800 0300 00000016",
        );
    }
}
