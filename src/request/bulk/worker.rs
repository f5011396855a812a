//! The work of a bulk request, on its thread.

use std::ops::ControlFlow;

use super::Change;
use super::reader::Reader;
use super::source::Source;
use crate::error::{Error, Result};
use crate::flow::{Flow, Status};
use crate::request::{Report, create, delete, update};
use crate::transport::bulk::{Answer, Bulk as Lane, Caller};
use crate::wire::message::{Request, Verdict};
use crate::wire::uapi::EEXIST;

/// Makes changes, and keeps the report of them.
pub(super) struct Worker<'a> {
    reader: Reader<'a>,
    pub(super) report: Report,
}

impl<'a> Worker<'a> {
    pub(super) fn new(lane: &'a mut Lane) -> Self {
        Self {
            reader: Reader(lane),
            report: Report::default(),
        }
    }

    /// Makes the changes, until their end, until nobody wants the report, or as `on_progress` says.
    pub(super) fn work(
        &mut self,
        mut source: Source<Change>,
        caller: &mut Caller,
        on_progress: &mut dyn FnMut(&Report) -> ControlFlow<()>,
    ) {
        let room = self.reader.0.window();
        let mut changes = Vec::with_capacity(room);
        loop {
            source.fill(room, caller, &mut changes);
            if let Some(error) = source.error.take() {
                self.report.incomplete.get_or_insert(error);
            }
            if changes.is_empty() {
                return;
            }
            // The look that one change takes must not overtake the changes before it.
            for run in changes.chunk_by_mut(|a, b| looks_first(a) == looks_first(b)) {
                if caller.is_gone() {
                    return;
                }
                self.apply(run);
                if on_progress(&self.report).is_break() {
                    return;
                }
            }
        }
    }

    /// Makes a few changes in one send, and another before it where all of them need a look.
    fn apply(&mut self, run: &mut [Change]) {
        let mut results: Vec<Option<Result<()>>> = run.iter().map(|_| None).collect();
        let mut sent = Vec::with_capacity(run.len());
        let looks = self.look(run);
        for (index, (change, look)) in run.iter_mut().zip(looks).enumerate() {
            match prepare(change, look) {
                Ok((request, status)) => {
                    self.reader.0.push(request);
                    sent.push((index, status));
                }
                Err(error) => results[index] = Some(Err(error)),
            }
        }
        let answers = self.reader.0.exchange(|_, _| {});
        for ((index, status), answer) in sent.into_iter().zip(answers) {
            results[index] = Some(self.settle(&mut run[index], status, answer));
        }
        for (change, result) in run.iter().zip(results.into_iter().flatten()) {
            self.note(change, result);
        }
    }

    /// The flows of changes that need a look first.
    fn look(&mut self, run: &[Change]) -> Vec<Option<Result<Option<Flow>>>> {
        match run.first().is_some_and(looks_first) {
            true => {
                let keys: Vec<_> = run.iter().map(Change::key).collect();
                self.reader.read(&keys).into_iter().map(Some).collect()
            }
            false => run.iter().map(|_| None).collect(),
        }
    }

    /// What the kernel's answer means for the change.
    fn settle(
        &mut self,
        change: &mut Change,
        status: Option<Status>,
        answer: Answer,
    ) -> Result<()> {
        match (answer, status) {
            (Answer::Lost, _) => self.decide(change),
            (answer, Some(seen)) => match answer.into_result() {
                Err(error) if update::outrun(&error, None, seen) => self.alone(change, status),
                result => result,
            },
            (answer, None) => answer.into_result(),
        }
    }

    /// Makes one change alone, again for as long as packets set bits of its flow's status.
    fn alone(&mut self, change: &mut Change, mut before: Option<Status>) -> Result<()> {
        loop {
            let look = looks_first(change).then(|| self.reader.one(&change.key()));
            let (request, status) = prepare(change, look)?;
            let result = self.reader.0.exchange_one(request).into_result();
            match (result, status) {
                (Err(error), Some(seen)) if update::outrun(&error, before, seen) => before = status,
                (result, _) => return result,
            }
        }
    }

    /// Decides a change whose answer was lost, by the flow as it is now.
    ///
    /// An update is made once more, for it is the same twice. A flow that is not there is one that
    /// was deleted; one that is there as it should have been made is one that was made: who did it
    /// cannot be told.
    fn decide(&mut self, change: &mut Change) -> Result<()> {
        let flow = self.reader.one(&change.key())?;
        match (&*change, flow) {
            (Change::Create(new), Some(flow)) => match new.made(&flow) {
                true => Ok(()),
                false => Err(Error::refused(Verdict::of(EEXIST))),
            },
            (Change::Delete(_), None) => Ok(()),
            (Change::Update(..), None) => Err(Error::not_found()),
            _ => self.alone(change, None),
        }
    }

    fn note(&mut self, change: &Change, result: Result<()>) {
        let Err(error) = result else {
            self.report.applied += 1;
            return;
        };
        if error.is_not_found() && !matches!(change, Change::Create(_)) {
            self.report.gone += 1;
            return;
        }
        self.report.failed_total += 1;
        if self.report.failed.len() < Report::KEPT {
            let error = self.explain(change, error);
            self.report.failed.push((change.key(), error));
        }
    }

    /// What the errno means for this change.
    fn explain(&mut self, change: &Change, error: Error) -> Error {
        let mut found = |wanted: bool| match wanted {
            true => self.reader.one(&change.key()),
            false => Ok(None),
        };
        match change {
            Change::Create(flow) => {
                let found = found(create::explained_by_flow(&error));
                create::explain(flow, found, error).while_(create::CREATE.doing)
            }
            Change::Update(_, patch) => {
                let found = found(update::explained_by_flow(patch, &error));
                update::explain(patch, found, error).while_(update::UPDATE.doing)
            }
            Change::Delete(_) => error.while_(delete::DELETE.doing),
        }
    }
}

/// Has the flow to be looked at before the request can be made? A status is sent whole, with the
/// bits that the flow has; by the tuple alone the kernel also deletes a flow whose other direction
/// it is.
fn looks_first(change: &Change) -> bool {
    match change {
        Change::Create(_) => false,
        Change::Update(_, patch) => patch.wanted_status().is_some(),
        Change::Delete(key) => !key.has_id(),
    }
}

/// The request, and the status that the flow had at the look.
fn prepare(
    change: &mut Change,
    look: Option<Result<Option<Flow>>>,
) -> Result<(Request, Option<Status>)> {
    let flow = || look.transpose().map(Option::flatten);
    match change {
        Change::Create(new) => {
            new.check()?;
            Ok((create::request(new), None))
        }
        Change::Update(key, patch) => {
            patch.check(key.tuple().protocol())?;
            let Some(wanted) = patch.wanted_status() else {
                return Ok((update::request(key, patch, None), None));
            };
            let seen = flow()?.ok_or_else(Error::not_found)?.status;
            let whole = update::whole(seen, wanted);
            Ok((update::request(key, patch, Some(whole)), Some(seen)))
        }
        Change::Delete(key) => {
            if !key.has_id() {
                let id = flow()?.ok_or_else(Error::not_found)?.id;
                *key = key.id(id.ok_or_else(Error::unanswered)?);
            }
            Ok((delete::request(key), None))
        }
    }
}
