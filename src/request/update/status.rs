//! Sets the status of a flow: it must be sent whole, so it is read first.

use super::request;
use crate::error::{Error, Result};
use crate::flow::{FlowKey, Patch, Status};
use crate::request::get;
use crate::transport::queue::{Reply, Step, Steps};
use crate::wire::message::Request;
use crate::wire::uapi::{EBUSY, IPCTNL_MSG_CT_GET};

/// The kernel requires the whole status, with the bits that the flow has already. So the status is
/// read, and then set. If a packet sets a bit in between, the kernel answers EBUSY, and the status
/// is read again.
pub(super) struct SetStatus {
    key: FlowKey,
    patch: Patch,
    wanted: Status,
    /// The status that was read; `None` while it is being read.
    seen: Option<Status>,
    /// The status of the read before that.
    before: Option<Status>,
}

impl Steps for SetStatus {
    fn next(&mut self, reply: Reply) -> Step {
        let step = match self.seen.take() {
            None => self.set(&reply).map(Some),
            Some(seen) => match Error::check(reply.verdict.clone()) {
                Err(error) if changed_meanwhile(&error, self.before, seen) => {
                    self.before = Some(seen);
                    Ok(Some(get::request(&self.key, IPCTNL_MSG_CT_GET)))
                }
                _ => Ok(None),
            },
        };
        match step {
            Ok(Some(request)) => Step::Send(request),
            Ok(None) => Step::Done(Ok(reply)),
            Err(error) => Step::Done(Err(error)),
        }
    }
}

impl SetStatus {
    pub(super) fn new(key: FlowKey, patch: Patch, wanted: Status) -> Self {
        Self {
            key,
            patch,
            wanted,
            seen: None,
            before: None,
        }
    }

    fn set(&mut self, reply: &Reply) -> Result<Request> {
        Error::check(reply.verdict.clone())?;
        let flow = get::found(reply)?.ok_or_else(Error::unanswered)?;
        let flow = get::named(&self.key, flow).ok_or_else(Error::not_found)?;
        self.seen = Some(flow.status);
        let status = whole(flow.status, self.wanted);
        Ok(request(&self.key, &self.patch, Some(status)))
    }
}

/// Did a packet set a bit since the status was read? The kernel then answers EBUSY. It also does
/// that if the change is not allowed, and then the status is the same as in the last read. Packets
/// only ever set bits, so this ends.
pub(in crate::request) fn changed_meanwhile(
    error: &Error,
    before: Option<Status>,
    current: Status,
) -> bool {
    error.errno() == Some(EBUSY) && before != Some(current)
}

/// The status to send so that `wanted` is set: all bits that are set already, CONFIRMED, and never
/// DYING.
pub(in crate::request) fn whole(current: Status, wanted: Status) -> Status {
    (current | wanted | Status::CONFIRMED) - Status::DYING
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::Verdict;

    #[test]
    fn a_status_is_read_again_for_as_long_as_it_changes() {
        let busy = Error::check(Verdict::of(EBUSY)).unwrap_err();
        let gone = Error::not_found();
        let (old, new) = (Status::CONFIRMED, Status::CONFIRMED | Status::SEEN_REPLY);
        assert!(changed_meanwhile(&busy, None, old));
        assert!(changed_meanwhile(&busy, Some(old), new));
        assert!(!changed_meanwhile(&busy, Some(new), new));
        assert!(!changed_meanwhile(&gone, None, old));
    }

    #[test]
    fn a_status_is_sent_whole() {
        let flow = Status::EXPECTED | Status::CONFIRMED | Status::SEEN_REPLY | Status::DYING;
        assert_eq!(
            whole(flow, Status::ASSURED),
            Status::EXPECTED | Status::CONFIRMED | Status::SEEN_REPLY | Status::ASSURED
        );
        assert_eq!(
            whole(Status::empty(), Status::ASSURED),
            Status::CONFIRMED | Status::ASSURED
        );
    }
}
