//! What the kernel's answers to a datagram of requests mean for each of them, and its silence.
//!
//! The kernel answers inside our send. When that returns all answers are in the queue; one that is
//! not there is lost.

use crate::error::{Error, Result};
use crate::wire::message::Verdict;
use crate::wire::uapi::EPERM;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The kernel did it.
    Done,
    /// The kernel refused it.
    Refused(Verdict),
    /// It has not reached the kernel.
    Unsent(i32),
    /// The answer was lost: the kernel may have done it or not.
    Lost,
}

impl Answer {
    /// Success, or what is known of the failure.
    pub(crate) fn into_result(self) -> Result<()> {
        match self {
            Self::Done => Ok(()),
            Self::Refused(verdict) => Err(Error::refused(verdict)),
            Self::Unsent(errno) => Err(Error::unsent(errno)),
            Self::Lost => Err(Error::overrun()),
        }
    }
}

/// Which requests of a datagram were to be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acks {
    /// Each.
    All,
    /// The last: of those before it the kernel tells the failures alone.
    Last,
}

/// What it means for a request that nothing was said of it. `first` is the verdict on the first of
/// them; `is_complete` that the last was answered; `overran` that the queue had no room for an answer.
pub(super) fn silence(
    acks: Acks,
    first: Option<&Verdict>,
    is_complete: bool,
    overran: bool,
) -> Answer {
    match first {
        // Where one was lost, the silence of any may be that.
        _ if overran => Answer::Lost,
        _ if is_complete && acks == Acks::Last => Answer::Done,
        _ if is_complete => Answer::Lost,
        // Without the right the kernel answers the first alone, and does none.
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

    /// EPERM of one flow (its timeout is fixed) is not that of all.
    #[test]
    fn a_refusal_of_the_first_alone_is_one_of_all() {
        let denied = Verdict::of(EPERM);
        for acks in [Acks::All, Acks::Last] {
            let found = silence(acks, Some(&denied), false, false);
            assert_eq!(found, Answer::Refused(denied.clone()));
        }
    }
}
