//! Matching: what a list finds is changed, each flow by its tuple, zone and id.

use std::sync::Arc;

use futures_util::StreamExt;

use super::Verb;
use super::bulk::source::Source;
use super::bulk::{Bulk, Change, Changes};
use super::list::{List, Table};
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::flow::{Family, FlowKey, Patch};
use crate::transport::Lanes;

const DELETE_MATCHING: Verb = Verb {
    name: "delete_matching",
    doing: "deleting the flows that match",
};
const UPDATE_MATCHING: Verb = Verb {
    name: "update_matching",
    doing: "updating the flows that match",
};

/// The flows that match, and what becomes of each.
pub(super) struct Matching {
    filter: Filter,
    family: Option<Family>,
    /// `None` deletes.
    patch: Option<Patch>,
}

impl Matching {
    /// The changes, as a list finds their flows.
    pub(super) async fn changes(self, lanes: Arc<Lanes>) -> Result<Source<Change>> {
        self.check()?;
        let list = List::new(lanes, Table::Conntrack).filter(self.filter);
        let flows = match self.family {
            Some(family) => list.family(family).await?,
            None => list.await?,
        };
        let patch = self.patch;
        Ok(Source::stream(flows.map(move |flow| {
            let key = FlowKey::from(&flow?);
            Ok(match &patch {
                Some(patch) => Change::Update(key, patch.clone()),
                None => Change::Delete(key),
            })
        })))
    }

    fn check(&self) -> Result<()> {
        match &self.patch {
            Some(patch) => patch.check_values(),
            None if self.filter.is_empty() && self.family.is_none() => Err(empty()),
            None => Ok(()),
        }
    }
}

/// An empty filter where flows would be removed by it.
pub(super) fn empty() -> Error {
    Error::invalid_input(
        "filter: it is empty, and every flow would go; to remove all flows say so, with \
         flush(Table::Conntrack) and no filter",
    )
}

pub(crate) fn delete(lanes: Arc<Lanes>, filter: Filter, family: Option<Family>) -> Bulk {
    let matching = Matching {
        filter,
        family,
        patch: None,
    };
    Bulk::of(
        lanes,
        DELETE_MATCHING,
        Changes::Matching(Box::new(matching)),
    )
}

pub(crate) fn update(lanes: Arc<Lanes>, filter: Filter, patch: Patch) -> Bulk {
    let matching = Matching {
        filter,
        family: None,
        patch: Some(patch),
    };
    Bulk::of(
        lanes,
        UPDATE_MATCHING,
        Changes::Matching(Box::new(matching)),
    )
}
