//! Probe: does the kernel have ctnetlink?

use std::sync::Arc;

use super::{RequestFuture, Verb};
use crate::error::{Error, ErrorKind};
use crate::transport::Lanes;
use crate::wire::message::Request;
use crate::wire::uapi::{AF_UNSPEC, EINVAL, EOPNOTSUPP, IPCTNL_MSG_CT_GET_STATS};

const PROBE: Verb = Verb {
    name: "probe",
    doing: "opening a connection",
};

/// Asks for the number of flows, which every kernel from 3.6 on answers at once.
pub(crate) fn probe(lanes: Arc<Lanes>) -> RequestFuture<()> {
    PROBE.run(lanes, None, |task| async move {
        let request = Request::new(IPCTNL_MSG_CT_GET_STATS, 0, AF_UNSPEC);
        task.call(request).await.map(drop).map_err(meaning)
    })
}

fn meaning(error: Error) -> Error {
    match error.errno() {
        Some(EINVAL | EOPNOTSUPP) => error.meaning(
            ErrorKind::Unsupported,
            "this kernel has no ctnetlink (CONFIG_NF_CT_NETLINK, module nf_conntrack_netlink)",
        ),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::Verdict;
    use crate::wire::uapi::EPERM;

    #[test]
    fn a_kernel_without_ctnetlink_is_told_from_a_caller_without_the_right() {
        for (errno, kind) in [
            (EINVAL, ErrorKind::Unsupported),
            (EOPNOTSUPP, ErrorKind::Unsupported),
            (EPERM, ErrorKind::PermissionDenied),
        ] {
            let error = meaning(Error::refused(Verdict::of(errno)));
            assert_eq!((error.kind(), error.errno()), (kind, Some(errno)));
        }
    }
}
