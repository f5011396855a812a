//! The status of a flow: set whole, and so read first.

use super::request;
use crate::error::{Error, Result};
use crate::flow::{FlowKey, Patch, Status};
use crate::request::get;
use crate::transport::queue::{Reply, Step, Steps};
use crate::wire::message::Request;
use crate::wire::uapi::{EBUSY, IPCTNL_MSG_CT_GET};

/// The kernel wants a status whole, with the bits that the flow has already: it is read, and set, and
/// read again where packets set a bit in between, of which the kernel says EBUSY.
pub(super) struct SetStatus {
    key: FlowKey,
    patch: Patch,
    wanted: Status,
    /// As it was read; `None` while it is being read.
    seen: Option<Status>,
    /// As it was read before that.
    before: Option<Status>,
}

impl Steps for SetStatus {
    fn next(&mut self, reply: Reply) -> Step {
        let step = match self.seen.take() {
            None => self.set(&reply).map(Some),
            Some(seen) => match Error::check(reply.verdict.clone()) {
                Err(error) if outrun(&error, self.before, seen) => {
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

/// Did a packet set a bit since the status was read? The kernel then says EBUSY; so it does where
/// the status is at rest and the change is not allowed. Packets only ever set bits: there is an
/// end to it.
pub(in crate::request) fn outrun(error: &Error, before: Option<Status>, current: Status) -> bool {
    error.errno() == Some(EBUSY) && before != Some(current)
}

/// What to send so that `wanted` is set: all that is set, CONFIRMED, and never DYING.
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
        assert!(outrun(&busy, None, old));
        assert!(outrun(&busy, Some(old), new));
        assert!(!outrun(&busy, Some(new), new));
        assert!(!outrun(&gone, None, old));
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
