//! The bulk lane: many requests in one send, on its own socket and its own thread.
//!
//! The kernel carries out the requests of a datagram one by one inside our send. It answers each
//! request that fails, with its sequence number, and acknowledges the last one. It sends nothing
//! for the others. When the send returns, all answers are in the receive queue. An answer that is
//! not there is lost.
//!
//! It needs no turn among the flushes and the control lanes. It holds the kernel's lock for one
//! request at a time, about a microsecond. While another request holds the lock, only the bulk
//! thread waits.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;

use bytes::BytesMut;

pub(crate) use super::answers::Answer;
use super::answers::{Acks, silence};
use super::netns::Namespace;
use super::socket::Socket;
pub(crate) use super::window::MOST as WINDOW;
use super::window::Window;
use crate::error::Result;
pub(crate) use crate::wire::message::datagram::Datagram;
use crate::wire::message::datagram::next_seq;
use crate::wire::message::{Frame, Verdict};
use crate::wire::uapi::{EMSGSIZE, ENOBUFS};

/// A socket that sends many requests at once.
#[derive(Debug)]
pub(crate) struct Bulk {
    socket: Socket,
    window: Window,
    /// The sequence number of the last request.
    seq: u32,
    received: BytesMut,
}

impl Bulk {
    pub(super) fn open(namespace: &Namespace, receive_queue: Option<usize>) -> Result<Self> {
        let socket = namespace.socket()?;
        if let Some(bytes) = receive_queue {
            socket.set_receive_queue(bytes)?;
        }
        Ok(Self {
            window: Window::of(&socket)?,
            socket,
            seq: 0,
            received: BytesMut::new(),
        })
    }

    /// Sends the requests of a datagram, in one send if both queues have room for it, and returns
    /// their answers in order. `data` is called with the index of a request and each message of
    /// data that answers it.
    pub(crate) fn exchange(
        &mut self,
        datagram: &mut Datagram,
        mut data: impl FnMut(usize, &Frame<'_>),
    ) -> Answers {
        let count = datagram.len();
        let mut answers = Answers::default();
        let mut from = 0;
        while from < count {
            let fit = self.fit(datagram, from);
            self.exchange_some(datagram, from..from + fit, &mut answers, &mut data);
            from += fit;
        }
        answers
    }

    /// The sequence number that the next request will have.
    pub(crate) fn next_seq(&self) -> u32 {
        next_seq(self.seq)
    }

    /// How many requests of the datagram, from this index on, both queues have room for.
    fn fit(&mut self, datagram: &Datagram, from: usize) -> usize {
        let (rest, bytes) = datagram.size(from);
        if self.window.admits_any(rest, bytes) {
            return rest;
        }
        self.window.clear();
        let window = &mut self.window;
        let rest = datagram.from(from);
        rest.take_while(|(data, len)| window.admits(*data, *len))
            .count()
    }

    /// Sends some requests of the datagram, and appends their answers.
    fn exchange_some(
        &mut self,
        datagram: &mut Datagram,
        some: Range<usize>,
        answers: &mut Answers,
        data: &mut impl FnMut(usize, &Frame<'_>),
    ) {
        let (from, count) = (some.start, some.len());
        let first = self.next_seq();
        self.seq = first + count as u32 - 1;
        match self.socket.send(datagram.finish(from, count, first)) {
            Ok(()) => self.receive(first, count, answers, &mut |index, frame| {
                data(from + index, frame);
            }),
            Err(cause) => match cause.raw_os_error().unwrap_or(0) {
                EMSGSIZE if count > 1 => {
                    let half = from + count / 2;
                    self.exchange_some(datagram, from..half, answers, data);
                    self.exchange_some(datagram, half..some.end, answers, data);
                }
                errno => answers.extend(count, &Answer::Unsent(errno)),
            },
        }
    }

    /// [`exchange`](Self::exchange) for a single request.
    pub(crate) fn exchange_one(&mut self, datagram: &mut Datagram) -> Answer {
        let mut answers = self.exchange(datagram, |_, _| {});
        answers.next().unwrap_or(Answer::Lost)
    }

    /// Receives the answers to `count` requests, numbered from `first`, and appends them.
    fn receive(
        &mut self,
        first: u32,
        count: usize,
        answers: &mut Answers,
        data: &mut dyn FnMut(usize, &Frame<'_>),
    ) {
        let mut verdicts: Vec<(usize, Verdict)> = Vec::new();
        let mut overran = false;
        while verdicts.last().is_none_or(|(index, _)| index + 1 < count) {
            self.received.clear();
            match self.socket.receive_now(&mut self.received) {
                Ok(()) => {}
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => break,
                // The kernel reports this once. The earlier answers are still in the queue.
                Err(cause) if cause.raw_os_error() == Some(ENOBUFS) => overran = true,
                Err(cause) if cause.raw_os_error() == Some(EMSGSIZE) => overran = true,
                Err(_) => {
                    overran = true;
                    break;
                }
            }
            for frame in Frame::all(&self.received) {
                let index = frame.seq.wrapping_sub(first) as usize;
                match frame.verdict() {
                    _ if index >= count => {}
                    Some(verdict) => verdicts.push((index, verdict)),
                    None if !frame.is_control() => data(index, &frame),
                    None => {}
                }
            }
        }
        judge(count, verdicts, overran, answers);
    }
}

/// The answers to requests, in order.
///
/// Usually nearly every request was carried out. Only the answers to the others are stored.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// The number of requests.
    count: usize,
    /// The other answers and the indexes of their requests, in order.
    others: VecDeque<(usize, Answer)>,
    /// The index of the next answer that the iterator returns.
    next: usize,
}

impl Answers {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The answers to the requests that were not carried out, with their indexes.
    pub(crate) fn others(&self) -> impl ExactSizeIterator<Item = &(usize, Answer)> {
        self.others.iter()
    }

    /// Adds the same answer to `count` requests.
    fn extend(&mut self, count: usize, answer: &Answer) {
        if *answer != Answer::Done {
            let indexes = self.count..self.count + count;
            self.others
                .extend(indexes.map(|index| (index, answer.clone())));
        }
        self.count += count;
    }
}

impl Iterator for Answers {
    type Item = Answer;

    fn next(&mut self) -> Option<Answer> {
        if self.next == self.count {
            return None;
        }
        let index = self.next;
        self.next += 1;
        match self.others.front() {
            Some((other, _)) if *other == index => self.others.pop_front().map(|(_, said)| said),
            _ => Some(Answer::Done),
        }
    }
}

/// Appends the answers: from the verdicts, and from what a missing verdict means. `overran` says
/// that an answer was lost.
fn judge(count: usize, verdicts: Vec<(usize, Verdict)>, overran: bool, answers: &mut Answers) {
    let is_complete = verdicts.last().is_some_and(|(last, _)| last + 1 == count);
    let first = verdicts.first().filter(|(index, _)| *index == 0);
    let first = first.map(|(_, verdict)| verdict);
    let silence = silence(Acks::Last, first, is_complete, overran);
    let mut from = 0;
    for (index, verdict) in verdicts {
        // The kernel answers in order, and once.
        let Some(silent) = index.checked_sub(from) else {
            continue;
        };
        answers.extend(silent, &silence);
        answers.extend(
            1,
            &match verdict.errno {
                0 => Answer::Done,
                _ => Answer::Refused(verdict),
            },
        );
        from = index + 1;
    }
    answers.extend(count - from, &silence);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::uapi::{EEXIST, ENOENT, EPERM};

    fn judged(errnos: &[Option<i32>], overran: bool) -> Vec<Answer> {
        let said = |(index, errno): (usize, &Option<i32>)| Some((index, Verdict::of((*errno)?)));
        let verdicts = errnos.iter().enumerate().filter_map(said).collect();
        let mut answers = Answers::default();
        judge(errnos.len(), verdicts, overran, &mut answers);
        answers.collect()
    }

    fn refused(errno: i32) -> Answer {
        Answer::Refused(Verdict::of(errno))
    }

    #[test]
    fn silence_is_consent_where_the_last_is_answered() {
        use Answer::Done;
        assert_eq!(
            judged(&[None, Some(ENOENT), None, Some(0)], false),
            [Done, refused(ENOENT), Done, Done]
        );
        assert_eq!(
            judged(&[None, None, Some(EEXIST)], false),
            [Done, Done, refused(EEXIST)]
        );
        assert_eq!(judged(&[Some(0)], false), [Done]);
        // The last answer was received, and an earlier one was lost.
        assert_eq!(
            judged(&[None, Some(ENOENT), Some(0)], true),
            [Answer::Lost, refused(ENOENT), Done]
        );
    }

    #[test]
    fn silence_of_the_last_is_loss() {
        use Answer::Lost;
        assert_eq!(
            judged(&[None, Some(ENOENT), None], false),
            [Lost, refused(ENOENT), Lost]
        );
        assert_eq!(judged(&[None, None], true), [Lost, Lost]);
    }

    /// EPERM for one flow (its timeout is fixed) does not refuse the other requests.
    #[test]
    fn a_refusal_of_the_first_alone_is_one_of_all() {
        use Answer::{Done, Lost};
        assert_eq!(
            judged(&[Some(EPERM), None, None], false),
            [refused(EPERM), refused(EPERM), refused(EPERM)]
        );
        assert_eq!(
            judged(&[Some(EPERM), None, Some(0)], false),
            [refused(EPERM), Done, Done]
        );
        assert_eq!(
            judged(&[Some(EPERM), None, None], true),
            [refused(EPERM), Lost, Lost]
        );
        assert_eq!(judged(&[None, Some(EPERM), None], false)[0], Lost);
    }
}
