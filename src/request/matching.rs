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

#[cfg(test)]
mod tests {
    use futures_util::stream::{iter, repeat_with};

    use super::*;
    use crate::ErrorKind;
    use crate::flow::Tuple;

    /// Errors of the list: they end nothing, and the first of them is told.
    #[test]
    fn a_list_with_errors_is_incomplete() {
        let end = "10.0.0.1:1".parse().unwrap();
        let key = FlowKey::from(Tuple::udp(end, end).unwrap());
        // It is refused here, before anything is sent.
        let change = move || Change::Update(key, Patch::new());
        let more = || repeat_with(move || Ok(change())).take(100);
        let first = iter([Err(Error::overrun()), Err(Error::closed())]);
        let second = iter([Err(Error::closed())]);
        let changes = more().chain(first).chain(more()).chain(second);

        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let report = runtime.unwrap().block_on(async {
            let lanes = Arc::new(Lanes::of_nobody());
            Bulk::new(lanes, Source::stream(changes)).await.unwrap()
        });
        assert_eq!((report.failed_total, report.done()), (200, 200), "{report}");
        let why = report.incomplete.as_ref().expect("an error of the list");
        assert_eq!(why.kind(), Error::overrun().kind());
        let error = report.into_result().expect_err("it is incomplete");
        assert_ne!(error.kind(), ErrorKind::InvalidInput);
    }
}
