//! What the kernel's answers to a datagram of requests mean for each request, and what a missing
//! answer means.
//!
//! The kernel answers inside our send. When the send returns, all answers are in the receive queue.
//! An answer that is not there is lost.

use crate::error::{Error, Result};
use crate::wire::message::Verdict;
use crate::wire::uapi::EPERM;

/// The outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The kernel carried it out.
    Done,
    /// The kernel refused it.
    Refused(Verdict),
    /// It did not reach the kernel.
    Unsent(i32),
    /// The answer was lost. The kernel may have carried it out or not.
    Lost,
}

impl Answer {
    /// Success, or the error that describes the failure.
    pub(crate) fn into_result(self) -> Result<()> {
        match self {
            Self::Done => Ok(()),
            Self::Refused(verdict) => Err(Error::refused(verdict)),
            Self::Unsent(errno) => Err(Error::unsent(errno)),
            Self::Lost => Err(Error::overrun()),
        }
    }
}

/// Which requests of a datagram asked for an ACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acks {
    /// Every request.
    All,
    /// Only the last. For the requests before it, the kernel reports only failures.
    Last,
}

/// What it means when a request has no answer. `first` is the verdict on the first request of the
/// datagram, `is_complete` says that the last one was answered, and `overran` that the receive
/// queue had no room for some answer.
pub(super) fn silence(
    acks: Acks,
    first: Option<&Verdict>,
    is_complete: bool,
    overran: bool,
) -> Answer {
    match first {
        // An answer was lost, and it may have been the answer to this request.
        _ if overran => Answer::Lost,
        _ if is_complete && acks == Acks::Last => Answer::Done,
        _ if is_complete => Answer::Lost,
        // Without the right, the kernel answers only the first request, and carries out none.
        Some(verdict) if verdict.errno == EPERM => Answer::Refused(verdict.clone()),
        _ => Answer::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::uapi::{EEXIST, ENOENT};

    #[test]
    fn silence_is_consent_where_the_last_alone_is_acknowledged() {
        for (errno, is_complete, overran, acks, meaning) in [
            (None, true, false, Acks::Last, Answer::Done),
            (Some(ENOENT), true, false, Acks::Last, Answer::Done),
            (Some(EPERM), true, false, Acks::Last, Answer::Done),
            (Some(EEXIST), true, true, Acks::Last, Answer::Lost),
            (None, false, false, Acks::Last, Answer::Lost),
            (Some(ENOENT), false, false, Acks::Last, Answer::Lost),
            (None, true, false, Acks::All, Answer::Lost),
            (Some(0), true, false, Acks::All, Answer::Lost),
            (Some(EPERM), false, true, Acks::All, Answer::Lost),
        ] {
            let first = errno.map(Verdict::of);
            let found = silence(acks, first.as_ref(), is_complete, overran);
            assert_eq!(found, meaning, "{errno:?} {is_complete} {overran} {acks:?}");
        }
    }

    /// EPERM for one flow (its timeout is fixed) does not refuse the other requests.
    #[test]
    fn a_refusal_of_the_first_alone_is_one_of_all() {
        let denied = Verdict::of(EPERM);
        for acks in [Acks::All, Acks::Last] {
            let found = silence(acks, Some(&denied), false, false);
            assert_eq!(found, Answer::Refused(denied.clone()));
        }
    }
}
