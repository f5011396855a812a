//! The request for a change, and whether the flow must be looked up first.

use crate::error::{Error, Result};
use crate::flow::{Flow, FlowId, Status};
use crate::request::{Change, create, delete, update};
use crate::transport::bulk::Datagram;

/// The longest first part of the changes in which all need a lookup, or none does. A lookup must
/// not overtake the changes before it.
pub(super) fn first_run(changes: &[Change]) -> &[Change] {
    let looks = changes.first().is_some_and(looks_first);
    let end = changes
        .iter()
        .position(|change| looks_first(change) != looks);
    &changes[..end.unwrap_or(changes.len())]
}

/// Does the change need a lookup of the flow first? A status must be sent whole, with the bits that
/// the flow has already. And a delete by tuple alone would also delete a flow that has this tuple
/// in the other direction.
#[inline]
pub(super) fn looks_first(change: &Change) -> bool {
    match change {
        Change::Create(_) => false,
        Change::Update(_, patch) => patch.wanted_status().is_some(),
        Change::Delete(key) => !key.has_id(),
    }
}

/// The values that a change needs from its lookup.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// The current status, for a change of the status.
    pub(super) status: Option<Status>,
    /// The id, for a delete.
    pub(super) id: Option<FlowId>,
}

impl Seen {
    pub(super) fn of(change: &Change, look: Result<Option<Flow>>) -> Result<Self> {
        let flow = look?.ok_or_else(Error::not_found)?;
        Ok(match change {
            Change::Delete(_) => Self {
                id: Some(flow.id.ok_or_else(Error::unanswered)?),
                status: None,
            },
            _ => Self {
                id: None,
                status: Some(flow.status),
            },
        })
    }
}

/// The requests for some changes.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pub(super) datagram: Datagram,
    /// The values from the lookups, for changes that need one.
    pub(super) seen: Vec<Seen>,
    /// The changes that have no request, by their index, with the reason.
    pub(super) invalid: Vec<(usize, Error)>,
}

impl Requests {
    /// Makes the requests for these changes. Either all need a lookup, or none does.
    pub(super) fn encode(&mut self, changes: &[Change], looks: Vec<Result<Option<Flow>>>) {
        self.datagram.clear();
        self.seen.clear();
        self.invalid.clear();
        if looks.is_empty() {
            for (index, change) in changes.iter().enumerate() {
                match check(change) {
                    Ok(()) => write(&mut self.datagram, change, Seen::default()),
                    Err(error) => self.invalid.push((index, error)),
                }
            }
            return;
        }
        for (index, (change, look)) in changes.iter().zip(looks).enumerate() {
            match check(change).and_then(|()| Seen::of(change, look)) {
                Ok(seen) => {
                    write(&mut self.datagram, change, seen);
                    self.seen.push(seen);
                }
                Err(error) => {
                    self.invalid.push((index, error));
                    self.seen.push(Seen::default());
                }
            }
        }
    }
}

/// Checks a change without asking the kernel.
#[inline]
pub(super) fn check(change: &Change) -> Result<()> {
    match change {
        Change::Create(new) => new.check(),
        Change::Update(key, patch) => patch.check(key.tuple().protocol()),
        Change::Delete(_) => Ok(()),
    }
}

/// Adds the request to the datagram.
#[inline]
pub(super) fn write(datagram: &mut Datagram, change: &Change, seen: Seen) {
    datagram.push(|bytes| match change {
        Change::Create(new) => create::write(new, bytes),
        Change::Update(key, patch) => {
            let wanted = seen.status.zip(patch.wanted_status());
            let whole = wanted.map(|(status, wanted)| update::whole(status, wanted));
            update::write(key, patch, whole, bytes);
        }
        Change::Delete(key) => {
            let key = seen.id.map_or(*key, |id| key.id(id));
            delete::write(&key, bytes);
        }
    });
}
