//! What a change sends: whether the flow must be read first, and the request.

use crate::error::{Error, Result};
use crate::flow::{Flow, FlowId, Status};
use crate::request::{Change, create, delete, update};
use crate::transport::bulk::Bulk as Lane;

/// The first changes, up to one that needs a lookup if they do not, or the reverse. A lookup must
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
#[derive(Default)]
pub(super) struct Seen {
    /// The current status, for a change of the status.
    pub(super) status: Option<Status>,
    /// The id, for a delete.
    pub(super) id: Option<FlowId>,
}

impl Seen {
    /// Takes the next look if the change needs one.
    #[inline]
    fn of(change: &Change, looks: &mut impl Iterator<Item = Result<Option<Flow>>>) -> Result<Self> {
        if !looks_first(change) {
            return Ok(Self::default());
        }
        let look = looks.next().transpose()?.flatten();
        let flow = look.ok_or_else(Error::not_found)?;
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

/// Adds the request to the next send, and returns the values from the lookup.
#[inline]
pub(super) fn prepare(
    lane: &mut Lane,
    change: &Change,
    looks: &mut impl Iterator<Item = Result<Option<Flow>>>,
) -> Result<Seen> {
    // An invalid change takes its look too, so that the next change does not get it.
    let seen = Seen::of(change, looks);
    match change {
        Change::Create(new) => new.check()?,
        Change::Update(key, patch) => patch.check(key.tuple().protocol())?,
        Change::Delete(_) => {}
    }
    let seen = seen?;
    lane.push(|bytes| match change {
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
    Ok(seen)
}
