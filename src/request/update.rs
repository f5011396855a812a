//! Update: changes a flow that is in the table, and never creates one.

mod status;

use std::future::IntoFuture;
use std::sync::Arc;

use super::get::{self, find};
use super::{RequestFuture, Task, Verb};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Flow, FlowKey, Labels, Masked, Patch, ProtoInfo, Status};
use crate::transport::Lanes;
use crate::transport::queue::Work;
use crate::wire::message::Request;
use crate::wire::uapi::{EBUSY, ENOSPC, EOPNOTSUPP, EPERM, IPCTNL_MSG_CT_GET, IPCTNL_MSG_CT_NEW};

use status::SetStatus;
pub(super) use status::{changed_meanwhile, whole};

pub(super) const UPDATE: Verb = Verb {
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

/// Awaiting it gives `()` once the change is made. `.into_future()` gives the future itself, for
/// `tokio::spawn`, `block_on`, `join_all` and `FuturesUnordered`.
///
/// See [`ConntrackHandle::update`](crate::ConntrackHandle::update).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent before it is awaited"]
pub struct Update {
    lanes: Arc<Lanes>,
    verb: Verb,
    key: FlowKey,
    patch: Patch,
}

settings! {
    setters! {
        Update;
        /// Sets the state of a TCP flow, `--state`, and leaves its flags and window scales
        /// unchanged.
        tcp_state = ProtoInfo::from;
    }
}

impl Update {
    fn settings_mut(&mut self) -> &mut Patch {
        &mut self.patch
    }

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

    /// Replaces all changes with the changes of a patch.
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
        verb.run(lanes, Some(key.tuple().family()), move |task| async move {
            patch.check(key.tuple().protocol())?;
            let Err(error) = apply(&task, &key, &patch).await else {
                return Ok(());
            };
            let found = match explained_by_flow(&patch, &error) {
                true => Some(find(&task, &key).await),
                false => None,
            };
            Err(explain(&patch, found, error))
        })
    }
}

/// Sends the changes.
async fn apply(task: &Task, key: &FlowKey, patch: &Patch) -> Result<()> {
    let work = match patch.wanted_status() {
        None => request(key, patch, None).into(),
        Some(wanted) => Work {
            request: get::request(key, IPCTNL_MSG_CT_GET),
            steps: Some(Box::new(SetStatus::new(*key, patch.clone(), wanted))),
        },
    };
    task.call_about(key.tuple(), work).await.map(drop)
}

pub(super) fn request(key: &FlowKey, patch: &Patch, status: Option<Status>) -> Request {
    Request::written(|bytes| write(key, patch, status, bytes))
}

#[inline]
pub(super) fn write(key: &FlowKey, patch: &Patch, status: Option<Status>, bytes: &mut Vec<u8>) {
    // No flags: neither CREATE, which would create, nor EXCL, which would refuse.
    let family = key.tuple().family().number();
    Request::write(bytes, IPCTNL_MSG_CT_NEW, 0, family, |w| {
        key.encode(w);
        patch.encode(status, w);
    });
}

/// Does [`explain`] need the flow?
pub(super) fn explained_by_flow(patch: &Patch, error: &Error) -> bool {
    error.errno() == Some(EPERM) && patch.sets_timeout()
}

/// Explains what the errno means for these changes. `found` is the flow in the table, if it was
/// looked up.
pub(super) fn explain(patch: &Patch, found: Option<Result<Option<Flow>>>, error: Error) -> Error {
    match error.errno() {
        Some(ENOSPC) if patch.sets_labels() => error
            .meaning(
                ErrorKind::LabelsUnavailable,
                "the flow has no room for labels: when it was created, no rule of the namespace used \
             them; add one (nft: `ct label set 0` in any chain, hooked or not), and flows created \
             from then on have it",
            )
            .after(&patch.made_before("labels")),
        Some(EBUSY) if patch.sets_helper() => error.meaning(
            ErrorKind::Busy,
            "a flow's helper cannot be replaced by another, set again after it was removed, \
             or changed on a flow that was expected",
        ),
        Some(EBUSY) if patch.wanted_status().is_some() => error
            .meaning(
                ErrorKind::Busy,
                "the flow is dying, or its status changed each time it was read",
            )
            .after(&patch.made_before("status")),
        Some(EOPNOTSUPP) if patch.takes_helper() => error.meaning(
            ErrorKind::Unsupported,
            "this kernel cannot remove a flow's helper; kernels before Linux 7.3 can",
        ),
        Some(EOPNOTSUPP) if patch.sets_helper() => error.meaning(
            ErrorKind::Unsupported,
            "the flow was created without a helper, and none can be added; or the kernel has none \
             of that name for it",
        ),
        Some(EPERM) if patch.sets_timeout() => match found {
            Some(Ok(Some(flow))) if flow.status.contains(Status::FIXED_TIMEOUT) => error
                .meaning(
                    ErrorKind::PermissionDenied,
                    "the flow's timeout is fixed (FIXED_TIMEOUT), and cannot be changed",
                )
                .after(&patch.made_before("timeout")),
            Some(_) => error,
            None => error.meaning(
                ErrorKind::PermissionDenied,
                "the flow's timeout is fixed (FIXED_TIMEOUT), or CAP_NET_ADMIN is missing",
            ),
        },
        _ => error,
    }
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::flow::{SeqAdj, SynProxy, TcpFlags, TcpInfo, TcpState, Tuple};
    use crate::wire::golden::{assert_bytes, bytes};

    /// The headers of a message of this length, and the tuple of the flow.
    fn assert_request(patch: &Patch, status: Option<Status>, len: u8, changes: &str) {
        let ends = (
            "10.0.0.1:1000".parse().unwrap(),
            "10.0.0.2:80".parse().unwrap(),
        );
        let key = Tuple::tcp(ends.0, ends.1).unwrap().into();
        let golden = format!(
            "{len:02x}000000 0001 0500 05000000 00000000  02 00 0000
             3400 0180  1400 0180  0800 0100 0a000001  0800 0200 0a000002
                        1c00 0280  0500 0100 06000000  0600 0200 03e80000  0600 0300 00500000
             {changes}"
        );
        assert_eq!(usize::from(len), bytes(&golden).len());
        assert_bytes(&request(&key, patch, status).finish(5), &golden);
    }

    #[test]
    fn mark() {
        assert_request(&Patch::new().mark(7), None, 0x50, "0800 0800 00000007");
        // The kernel would toggle a bit outside the mask.
        assert_request(
            &Patch::new().mark(Masked::new(0x1_0011, 0xff)),
            None,
            0x58,
            "0800 0800 00000011  0800 1500 000000ff",
        );
    }

    #[test]
    fn mark_zero_is_said() {
        assert_request(&Patch::new().mark(0), None, 0x50, "0800 0800 00000000");
    }

    #[test]
    fn labels_are_always_whole() {
        let label = |n| Labels::bit(n).unwrap();
        assert_request(
            &Patch::new().labels(Masked::new(label(3) | label(127), label(3) | label(127))),
            None,
            0x70,
            "1400 1600 08000000 00000000 00000000 00000080
             1400 1700 08000000 00000000 00000000 00000080",
        );
        assert_request(
            &Patch::new().labels(Labels::EMPTY),
            None,
            0x70,
            "1400 1600 00000000 00000000 00000000 00000000
             1400 1700 ffffffff ffffffff ffffffff ffffffff",
        );
    }

    #[test]
    fn timeout_in_whole_seconds() {
        assert_request(
            &Patch::new().timeout(Duration::from_millis(59_001)),
            None,
            0x50,
            "0800 0700 0000003c",
        );
    }

    #[test]
    fn status_is_sent_whole() {
        let wanted = Status::ASSURED;
        let current = Status::CONFIRMED | Status::SEEN_REPLY | Status::SRC_NAT_DONE;
        assert_request(
            &Patch::new().status(wanted),
            Some(whole(current | Status::DYING, wanted)),
            0x50,
            "0800 0300 0000008e",
        );
    }

    #[test]
    fn tcp_state_leaves_flags_and_scales() {
        assert_request(
            &Patch::new().tcp_state(TcpState::TIME_WAIT),
            None,
            0x58,
            "1000 0480  0c00 0180  0500 0100 07000000",
        );
    }

    #[test]
    fn all_that_can_change() {
        let flags = Masked::new(
            TcpFlags::BE_LIBERAL,
            TcpFlags::BE_LIBERAL | TcpFlags::SACK_PERM,
        );
        let seqadj = |offset_after| SeqAdj {
            correction_pos: 1,
            offset_before: -1,
            offset_after,
        };
        let patch = Patch::new()
            .helper("ftp")
            .protoinfo(TcpInfo {
                state: TcpState::ESTABLISHED,
                wscale_orig: Some(7),
                wscale_reply: Some(8),
                flags_orig: Some(flags),
                flags_reply: None,
            })
            .seqadj_orig(seqadj(2))
            .seqadj_reply(seqadj(3))
            .synproxy(SynProxy {
                isn: 1,
                its: 2,
                tsoff: 3,
            });
        assert_request(
            &patch,
            None,
            0xd0,
            "0c00 0580  0800 0100 66747000
             2800 0480  2400 0180  0500 0100 03000000  0500 0200 07000000  0500 0300 08000000
                                   0600 0400 080a0000
             1c00 0f80  0800 0100 00000001  0800 0200 ffffffff  0800 0300 00000002
             1c00 1080  0800 0100 00000001  0800 0200 ffffffff  0800 0300 00000003
             1c00 1880  0800 0100 00000001  0800 0200 00000002  0800 0300 00000003",
        );
    }
}
