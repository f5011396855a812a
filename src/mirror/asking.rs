//! Asks the kernel for flows whose state is in doubt.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;

use super::drain::Drain;
use super::state::Round;
use super::{AT_ONCE, Mirror};
use crate::error::Error;
use crate::flow::{Flow, FlowKey};
use crate::request::RequestFuture;
use crate::stream::FoundStream;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The lookups in flight, one round at a time.
#[derive(Default)]
pub(super) struct Asking {
    round: Option<Asked>,
    not_before: Duration,
    /// The last pause after a failed round; each pause is twice as long as the one before.
    wait: Duration,
}

struct Asked {
    number: Round,
    /// The flows that are not answered yet, in order.
    keys: VecDeque<FlowKey>,
    answers: Answers,
    /// Answers that wait until the events before them are applied.
    held: Vec<(FlowKey, Option<Flow>)>,
    drain: Option<Drain>,
    /// Was an error of this round reported already?
    has_failed: bool,
}

enum Answers {
    Opening(RequestFuture<FoundStream>),
    Open(FoundStream),
    Ended,
}

impl Asking {
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.round.is_none() && now >= self.not_before
    }
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking")
            .field("is_under_way", &self.round.is_some())
            .finish_non_exhaustive()
    }
}

impl Mirror {
    /// Begins a round if there are flows to ask for.
    pub(super) fn ask(&mut self) -> bool {
        let Some((number, keys)) = self.state.questions() else {
            return false;
        };
        let opening = self.handle.get_many(keys.clone()).into_future();
        self.asking.round = Some(Asked {
            number,
            keys: keys.into(),
            answers: Answers::Opening(opening),
            held: Vec::new(),
            drain: None,
            has_failed: false,
        });
        true
    }

    /// Continues the round. Returns whether there is more to do at once.
    pub(super) fn poll_answers(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.now();
        let Some(round) = &mut self.asking.round else {
            return false;
        };
        if let Some(drain) = &round.drain {
            if !drain.is_done(&self.events) {
                return false;
            }
            round.drain = None;
            for (key, flow) in round.held.drain(..) {
                self.state.answered(round.number, &key, flow, now);
            }
        }
        let error = match &mut round.answers {
            Answers::Opening(opening) => match Pin::new(opening).poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(found)) => {
                    round.answers = Answers::Open(found);
                    return true;
                }
                Poll::Ready(Err(error)) => {
                    round.answers = Answers::Ended;
                    Some(error)
                }
            },
            Answers::Open(found) => {
                let mut failed = None;
                loop {
                    if round.held.len() == AT_ONCE {
                        break;
                    }
                    match Pin::new(&mut *found).poll_next(cx) {
                        Poll::Pending if round.held.is_empty() && failed.is_none() => return false,
                        Poll::Pending => break,
                        Poll::Ready(Some(Ok(answer))) => {
                            round.keys.pop_front();
                            round.held.push(answer);
                        }
                        Poll::Ready(Some(Err(error))) => {
                            if let Some(key) = round.keys.pop_front() {
                                self.state.unanswered(key);
                            }
                            failed.get_or_insert(error);
                        }
                        Poll::Ready(None) => {
                            round.answers = Answers::Ended;
                            break;
                        }
                    }
                }
                round.drain = Some(Drain::of(&self.events));
                failed
            }
            Answers::Ended => {
                let keys = std::mem::take(&mut round.keys);
                let has_failed = round.has_failed;
                self.asking.round = None;
                self.answers_end(keys, has_failed, now);
                return true;
            }
        };
        if let Some(error) = error {
            self.question_failed(error);
        }
        true
    }

    /// Only the first error of a round is reported.
    fn question_failed(&mut self, error: Error) {
        let round = self.asking.round.as_mut();
        if round.is_some_and(|round| !std::mem::replace(&mut round.has_failed, true)) {
            self.failed(error);
        }
    }

    fn answers_end(&mut self, unanswered: VecDeque<FlowKey>, has_failed: bool, now: Duration) {
        for key in unanswered {
            self.state.unanswered(key);
        }
        self.state.answers_ended(now);
        self.asking.wait = match has_failed {
            false => Duration::ZERO,
            true => (2 * self.asking.wait).clamp(FIRST_WAIT, LONGEST_WAIT),
        };
        self.asking.not_before = now + self.asking.wait;
    }
}
