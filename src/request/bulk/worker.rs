//! The work of a bulk request, on its thread.

use std::collections::HashSet;
use std::hash::Hash;
use std::ops::ControlFlow;

use super::Watch;
use super::ahead::Feed;
use super::batch::Batch;
use super::reader::Reader;
use super::send::{Requests, Seen, check, first_run, looks_first, write};
use super::source::Source;
use crate::error::{Error, Result};
use crate::flow::{Flow, Status};
use crate::request::{Change, Outcome, Report, create, delete, update};
use crate::transport::bulk::{Answer, Answers, Bulk as Lane, Datagram};
use crate::transport::job::Caller;
use crate::wire::uapi::{EEXIST, ENOENT};

/// Makes changes, and keeps their report.
pub(super) struct Worker<'a> {
    reader: Reader<'a>,
    pub(super) report: Report,
    watch: Watch,
}

impl<'a> Worker<'a> {
    pub(super) fn new(lane: &'a mut Lane, watch: Watch) -> Self {
        Self {
            reader: Reader::new(lane),
            report: Report::default(),
            watch,
        }
    }

    /// Makes the changes until the source ends, the caller is dropped, or a closure stops it.
    pub(super) fn work(&mut self, source: Source<Change>, caller: &mut Caller) {
        let mut feed = Feed::new(source);
        let mut batch = Batch::default();
        loop {
            feed.next(&mut batch, caller, self.reader.lane.next_seq());
            if let Some(error) = batch.error.take() {
                self.report.incomplete.get_or_insert(error);
            }
            if batch.changes.is_empty() || self.apply(&mut batch, caller).is_break() {
                return;
            }
        }
    }

    /// Makes the changes of a batch. A break ends the work.
    fn apply(&mut self, batch: &mut Batch, caller: &Caller) -> ControlFlow<()> {
        let requests = &mut batch.requests;
        let mut rest = &batch.changes[..];
        while !rest.is_empty() {
            if caller.is_gone() {
                return ControlFlow::Break(());
            }
            let run = match batch.is_encoded {
                true => rest,
                false => {
                    let (run, looks) = self.look(first_run(rest));
                    requests.encode(run, looks);
                    run
                }
            };
            self.send(run, requests);
            rest = &rest[run.len()..];
            (self.watch.progress)(&self.report)?;
        }
        ControlFlow::Continue(())
    }

    /// Makes some changes in one send.
    fn send(&mut self, run: &[Change], requests: &mut Requests) {
        let Requests {
            datagram,
            seen,
            invalid,
        } = requests;
        let mut answers = self.reader.lane.exchange(datagram, |_, _| {});
        if self.watch.item.is_none() && answers.len() == run.len() && self.are_usual(run, &answers)
        {
            return;
        }
        let mut invalid = invalid.drain(..).peekable();
        let answered =
            (0..run.len()).map(
                |index| match invalid.next_if(|(invalid, _)| *invalid == index) {
                    Some((_, error)) => Err(error),
                    None => {
                        let seen = seen.get(index).copied().unwrap_or_default();
                        Ok((seen, answers.next().unwrap_or(Answer::Lost)))
                    }
                },
            );
        let answered: Vec<_> = answered.collect();
        let clashes = self.clashes(run, &answered);
        for (index, (change, answered)) in run.iter().zip(answered).enumerate() {
            let later = &run[index + 1..];
            let result = match answered {
                Ok((seen, answer)) => {
                    // The usual failures are counted without creating an error.
                    let usual = usual(change, &answer);
                    if let Some(outcome) = usual.filter(|_| !clashes.contains(&index)) {
                        self.count(change, outcome);
                        continue;
                    }
                    self.settle(change, seen, answer, later)
                }
                Err(error) => Err(error),
            };
            self.note(change, result, later);
        }
    }

    /// Counts the changes if every one was made, except those of flows that are gone. Returns
    /// `false`, and counts nothing, if that is not so.
    fn are_usual(&mut self, run: &[Change], answers: &Answers) -> bool {
        let mut others = answers.others();
        let gone = others.len() as u64;
        let are_gone = others
            .all(|(index, answer)| matches!(usual(&run[*index], answer), Some(Outcome::Gone)));
        if are_gone {
            self.report.gone += gone;
            self.report.applied += run.len() as u64 - gone;
        }
        are_gone
    }

    /// Finds the creates that were refused because another flow uses one of their tuples. It looks
    /// up the flows of all refused creates in one send. The creates whose flows are not found are
    /// these.
    fn clashes(&mut self, run: &[Change], answered: &[Result<(Seen, Answer)>]) -> HashSet<usize> {
        let refused: Vec<usize> = (0..run.len())
            .filter(|index| {
                let usual = answered[*index]
                    .as_ref()
                    .ok()
                    .and_then(|(_, answer)| usual(&run[*index], answer));
                matches!(usual, Some(Outcome::Exists))
                    && !is_deleted(&run[*index], &run[index + 1..])
            })
            .collect();
        if refused.is_empty() {
            return HashSet::new();
        }
        let keys: Vec<_> = refused.iter().map(|index| run[*index].key()).collect();
        let looks = self.reader.read(&keys).into_iter();
        let clashes = refused.into_iter().zip(looks);
        clashes
            .filter_map(|(index, look)| matches!(look, Ok(None)).then_some(index))
            .collect()
    }

    /// Looks up the flows of a run of changes if they need it, and returns the changes with their
    /// flows: one change per flow, because the next change of the flow needs a new lookup.
    fn look<'r>(&mut self, run: &'r [Change]) -> (&'r [Change], Vec<Result<Option<Flow>>>) {
        if !run.first().is_some_and(looks_first) {
            return (run, Vec::new());
        }
        // Compare the keys first, so that one flow is not read many times.
        let run = &run[..distinct(run.iter().map(|change| Some(change.key())))];
        let keys: Vec<_> = run.iter().map(Change::key).collect();
        let looks = self.reader.read(&keys);
        let flow = |look: &Result<Option<Flow>>| {
            let flow = look.as_ref().ok()?.as_ref()?;
            Some((flow.orig, flow.zone))
        };
        (&run[..distinct(looks.iter().map(flow))], looks)
    }

    /// Turns the kernel's answer into the result of a change.
    fn settle(
        &mut self,
        change: &Change,
        seen: Seen,
        answer: Answer,
        later: &[Change],
    ) -> Result<()> {
        if answer == Answer::Lost {
            // The later changes are already made. Repeating this one could undo them.
            let any = is_translated(change) && !later.is_empty();
            return match any || is_followed(change, later) {
                true => Err(Error::overrun()),
                false => self.decide(change, seen),
            };
        }
        match (answer.into_result(), seen.status) {
            (Err(error), Some(status)) if update::changed_meanwhile(&error, None, status) => {
                self.alone(change, Some(status))
            }
            (result, _) => result,
        }
    }

    /// Makes a single change, and repeats it while packets set bits of its flow's status.
    fn alone(&mut self, change: &Change, mut before: Option<Status>) -> Result<()> {
        loop {
            check(change)?;
            let seen = match looks_first(change) {
                true => Seen::of(change, self.reader.one(&change.key()))?,
                false => Seen::default(),
            };
            let mut datagram = Datagram::default();
            write(&mut datagram, change, seen);
            let answer = self.reader.lane.exchange_one(&mut datagram);
            let result = answer.into_result();
            match (result, seen.status) {
                (Err(error), Some(status)) if update::changed_meanwhile(&error, before, status) => {
                    before = Some(status);
                }
                (result, _) => return result,
            }
        }
    }

    /// Finds the result of a change whose answer was lost. An update can be repeated. For a create
    /// or a delete it looks at the flow, which does not show who changed it.
    fn decide(&mut self, change: &Change, seen: Seen) -> Result<()> {
        match change {
            Change::Update(..) => self.alone(change, None),
            Change::Create(new) => match self.reader.one(&change.key())? {
                None => self.alone(change, None),
                Some(flow) if new.made(&flow) => Ok(()),
                // Our flow, changed since, or the flow of another program.
                Some(_) => Err(Error::overrun()),
            },
            Change::Delete(key) => {
                let key = seen.id.map_or(*key, |id| key.id(id));
                match self.reader.one(&key)? {
                    None => Ok(()),
                    Some(_) => self.alone(&Change::Delete(key), None),
                }
            }
        }
    }

    /// Adds a result to the report. `later` are the changes that were made after this one.
    fn note(&mut self, change: &Change, result: Result<()>, later: &[Change]) {
        let is_create = matches!(change, Change::Create(_));
        let error = match result {
            Ok(()) => return self.count(change, Outcome::Applied),
            Err(error) if error.is_not_found() && !is_create => {
                return self.count(change, Outcome::Gone);
            }
            Err(error)
                if error.is_already_exists()
                    && is_create
                    && !matches!(self.reader.one(&change.key()), Ok(None)) =>
            {
                return self.count(change, Outcome::Exists);
            }
            Err(error) => error,
        };
        let is_kept = self.report.failed.len() < Report::KEPT;
        let error = self.explain(change, error, is_kept && !is_followed(change, later));
        self.count(change, Outcome::Failed(&error));
        if is_kept {
            self.report.failed.push((change.key(), error));
        }
    }

    fn count(&mut self, change: &Change, outcome: Outcome<'_>) {
        let report = &mut self.report;
        match outcome {
            Outcome::Applied => report.applied += 1,
            Outcome::Gone => report.gone += 1,
            Outcome::Exists => report.exists += 1,
            Outcome::Failed(error) => {
                report.failed_total += 1;
                report.partial += u64::from(error.is_partial());
            }
        }
        self.watch.item(change, outcome);
    }

    /// Explains what the errno means for this change. It looks at the flow if that helps, and if no
    /// later change has touched it.
    fn explain(&mut self, change: &Change, error: Error, may_look: bool) -> Error {
        let mut look = |wanted: bool| {
            let wanted = wanted && may_look;
            wanted.then(|| self.reader.one(&change.key()))
        };
        match change {
            Change::Create(flow) => {
                let found = look(create::explained_by_flow(&error));
                create::explain(flow, found, error).context(create::CREATE.doing)
            }
            Change::Update(_, patch) => {
                let found = look(update::explained_by_flow(patch, &error));
                update::explain(patch, found, error).context(update::UPDATE.doing)
            }
            Change::Delete(_) => delete::explain(error).context(delete::DELETE.doing),
        }
    }
}

/// The outcome if this is a usual failure: the flow to change or delete is not in the table, or the
/// flow to create is.
fn usual(change: &Change, answer: &Answer) -> Option<Outcome<'static>> {
    let Answer::Refused(verdict) = answer else {
        return None;
    };
    match (verdict.errno, change) {
        (EEXIST, Change::Create(_)) => Some(Outcome::Exists),
        (ENOENT, Change::Update(..) | Change::Delete(_)) => Some(Outcome::Gone),
        _ => None,
    }
}

/// Returns `true` if a later change deletes the flow.
fn is_deleted(change: &Change, later: &[Change]) -> bool {
    let is_delete = |later: &&Change| matches!(later, Change::Delete(_));
    let deletes = later.iter().filter(is_delete);
    deletes
        .map(std::slice::from_ref)
        .any(|delete| is_followed(change, delete))
}

/// Returns `true` if a later change names the same flow, by the tuple of either direction.
fn is_followed(change: &Change, later: &[Change]) -> bool {
    let tuple = *change.key().tuple();
    let mut names = vec![tuple, tuple.inverse()];
    if let Change::Create(new) = change {
        let reply = *new.get_reply();
        names.extend([reply, reply.inverse()]);
    }
    let mut later = later.iter().map(|later| *later.key().tuple());
    later.any(|tuple| names.contains(&tuple))
}

/// Returns `true` if the kernel chooses the reply tuple of the new flow. Then any later change may
/// name it.
fn is_translated(change: &Change) -> bool {
    matches!(change, Change::Create(new)
        if new.get_source_nat().is_some() || new.get_destination_nat().is_some())
}

/// The number of items before the first repeated one.
fn distinct<T: Hash + Eq>(items: impl ExactSizeIterator<Item = Option<T>>) -> usize {
    let all = items.len();
    let mut seen = HashSet::with_capacity(all);
    let mut items = items.enumerate();
    let again = items.find_map(|(index, item)| (!seen.insert(item?)).then_some(index));
    again.unwrap_or(all)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::flow::{FlowKey, Nat, NewFlow, Tuple};

    #[test]
    fn a_new_flow_has_two_tuples() {
        let udp = |port| {
            let server = "10.0.0.2:53".parse().unwrap();
            Tuple::udp(([10, 0, 0, 1], port).into(), server).unwrap()
        };
        let new = NewFlow::new(udp(1), Duration::from_secs(60));
        let other = udp(2).inverse();
        let delete = |key: FlowKey| [Change::Delete(key)];
        let plain = Change::Create(new.clone());
        assert!(is_followed(&plain, &delete(udp(1).inverse().into())));
        assert!(!is_followed(&plain, &delete(FlowKey::reply(other))));
        let answered_elsewhere = Change::Create(new.clone().reply(other));
        assert!(is_followed(
            &answered_elsewhere,
            &delete(FlowKey::reply(other))
        ));
        assert!(!is_followed(&answered_elsewhere, &delete(udp(3).into())));
        let nat = Nat::to("192.0.2.1".parse::<std::net::Ipv4Addr>().unwrap());
        let translated = Change::Create(new.source_nat(nat));
        assert!(is_translated(&translated) && !is_translated(&plain));
        assert!(!is_followed(&translated, &delete(udp(3).into())));
    }
}
