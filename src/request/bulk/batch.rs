//! A batch: the changes of one send, and their requests.

use super::send::{Requests, looks_first};
use super::source::Source;
use crate::error::Error;
use crate::request::Change;
use crate::transport::bulk::WINDOW;
use crate::transport::job::Caller;

/// The next changes of a source.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Empty at the end.
    pub(super) changes: Vec<Change>,
    /// The requests for all changes, if `is_encoded`.
    pub(super) requests: Requests,
    /// No change needs a lookup, so all can be sent as they are.
    pub(super) is_encoded: bool,
    /// An error that the source gave before the last of these changes.
    pub(super) error: Option<Error>,
}

impl Batch {
    /// Takes the next changes from the source, and makes their requests if they need no lookup.
    pub(super) fn take(&mut self, source: &mut Source<Change>, caller: &mut Caller) {
        source.fill(WINDOW, caller, &mut self.changes);
        self.error = source.error.take();
        self.is_encoded = !self.changes.iter().any(looks_first);
        if self.is_encoded {
            self.requests.encode(&self.changes, Vec::new());
        }
    }

    /// Numbers the requests, if they are made, and returns the next number.
    pub(super) fn number(&mut self, seq: u32) -> u32 {
        match self.is_encoded {
            true => self.requests.datagram.number(seq),
            false => seq,
        }
    }

    /// Returns `true` if the source gave as many changes as fit in a send.
    pub(super) fn is_full(&self) -> bool {
        self.changes.len() == WINDOW
    }
}
