//! Many lookups in few sends.

use crate::error::{Error, Result};
use crate::flow::{Flow, FlowKey};
use crate::request::get;
use crate::transport::bulk::{Answer, Answers, Bulk as Lane, Datagram};
use crate::wire::uapi::IPCTNL_MSG_CT_GET;

/// Reads flows on a bulk lane.
pub(in crate::request) struct Reader<'a> {
    pub(super) lane: &'a mut Lane,
    datagram: Datagram,
}

impl<'a> Reader<'a> {
    pub(in crate::request) fn new(lane: &'a mut Lane) -> Self {
        Self {
            lane,
            datagram: Datagram::default(),
        }
    }

    /// Reads the flows of up to a window of keys: `None` for a flow that is not in the table.
    pub(in crate::request) fn read(&mut self, keys: &[FlowKey]) -> Vec<Result<Option<Flow>>> {
        let (answers, flows) = self.exchange(keys);
        let answers = keys.iter().zip(answers).zip(flows);
        let flows = answers.map(|((key, answer), flow)| match (answer, flow) {
            // This answer was received before the loss.
            (Answer::Lost, None) => self.one(key),
            (answer, flow) => judge(key, answer, flow),
        });
        flows.collect()
    }

    /// Reads one flow.
    pub(in crate::request) fn one(&mut self, key: &FlowKey) -> Result<Option<Flow>> {
        let (mut answers, mut flows) = self.exchange(std::slice::from_ref(key));
        let answer = answers.next().unwrap_or(Answer::Lost);
        judge(key, answer, flows.pop().flatten())
    }

    fn exchange(&mut self, keys: &[FlowKey]) -> (Answers, Vec<Option<Result<Flow>>>) {
        let mut flows: Vec<_> = keys.iter().map(|_| None).collect();
        self.datagram.clear();
        for key in keys {
            self.datagram
                .push(|bytes| get::write(key, IPCTNL_MSG_CT_GET, bytes));
        }
        let answers = self.lane.exchange(&mut self.datagram, |index, frame| {
            flows[index] = Some(Flow::from_message(frame.bytes));
        });
        (answers, flows)
    }
}

fn judge(key: &FlowKey, answer: Answer, flow: Option<Result<Flow>>) -> Result<Option<Flow>> {
    if let Some(flow) = flow {
        return Ok(get::named(key, flow?));
    }
    match answer.into_result() {
        Ok(()) => Err(Error::unanswered()),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.context(get::GET.doing)),
    }
}
