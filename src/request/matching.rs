//! Matching: changes the flows that a list finds, one by one.

use std::sync::Arc;
use std::task::{Poll, ready};

use futures_util::StreamExt;
use futures_util::stream::poll_fn;

use super::bulk::source::Source;
use super::bulk::{Bulk, Changes, Listing};
use super::list::{List, Table};
use super::{Change, Verb};
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::flow::{Family, Flow, FlowKey, Patch};
use crate::transport::Lanes;

verbs! {
    DELETE_MATCHING = "delete_matching", "deleting the flows that match";
    UPDATE_MATCHING = "update_matching", "updating the flows that match";
}

const CHANGE_MATCHING: Verb = Verb {
    name: "change_matching",
    doing: "changing the flows that match",
};

/// A bulk request for the flows that a list finds.
fn listed(
    lanes: Arc<Lanes>,
    verb: Verb,
    list: impl FnOnce(Arc<Lanes>) -> Result<List> + Send + 'static,
    mut decide: impl FnMut(&Flow) -> Option<Change> + Send + 'static,
) -> Bulk {
    let list = move |lanes| -> Listing {
        Box::pin(async move {
            let mut flows = list(lanes)?.await?;
            let by_kernel = flows.kernel_filtered();
            // An error of the list goes into the stream of changes, and from there into the report.
            let changes = poll_fn(move |cx| {
                loop {
                    match ready!(flows.poll_next_unpin(cx)) {
                        Some(Ok(flow)) => {
                            if let Some(change) = decide(&flow) {
                                return Poll::Ready(Some(Ok(sharpen(change, &flow))));
                            }
                        }
                        Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                        None => return Poll::Ready(None),
                    }
                }
            });
            // A flow may be replaced by another one between its look and its change.
            Ok((Source::stream(changes).urgent(), by_kernel))
        })
    };
    Bulk::of(lanes, verb, Changes::Listed(Box::new(list)))
}

/// Makes sure that a delete of a listed flow deletes only that flow.
fn sharpen(change: Change, flow: &Flow) -> Change {
    match change {
        Change::Delete(key) if key == FlowKey::from(flow) => Change::Delete(exact(flow)),
        change => change,
    }
}

/// The key of a flow by its reply tuple and id. The kernel computes the id from the flow's address
/// in memory and its original tuple (nf_ct_get_id), and the next flow often gets the same address.
/// So the original tuple would add nothing: a new flow of the same client, now translated to
/// another server, would have the same key.
fn exact(flow: &Flow) -> FlowKey {
    let key = FlowKey::reply(flow.reply).zone(flow.zone);
    flow.id.map_or(key, |id| key.id(id))
}

/// The error for an empty filter in a request that removes flows.
pub(super) fn empty() -> Error {
    Error::invalid_input(
        "filter: it is empty, and every flow would go; to remove all flows say so, with \
         flush(Table::Conntrack) and no filter",
    )
}

pub(crate) fn delete(lanes: Arc<Lanes>, filter: Filter, family: Option<Family>) -> Bulk {
    let list = move |lanes| {
        if filter.is_empty() && family.is_none() {
            return Err(empty());
        }
        let list = List::new(lanes, Table::Conntrack).filter(filter);
        Ok(match family {
            Some(family) => list.family(family),
            None => list,
        })
    };
    listed(lanes, DELETE_MATCHING, list, |flow| {
        Some(Change::delete(flow))
    })
}

pub(crate) fn update(lanes: Arc<Lanes>, filter: Filter, patch: Patch) -> Bulk {
    let checked = patch.check_values();
    let list = move |lanes| {
        checked?;
        Ok(List::new(lanes, Table::Conntrack).filter(filter))
    };
    listed(lanes, UPDATE_MATCHING, list, move |flow| {
        Some(Change::update(flow, patch.clone()))
    })
}

pub(crate) fn change(
    lanes: Arc<Lanes>,
    filter: Filter,
    decide: impl FnMut(&Flow) -> Option<Change> + Send + 'static,
) -> Bulk {
    let list = move |lanes| Ok(List::new(lanes, Table::Conntrack).filter(filter));
    listed(lanes, CHANGE_MATCHING, list, decide)
}

#[cfg(test)]
mod tests {
    use futures_util::stream::{iter, repeat_with};

    use super::*;
    use crate::ErrorKind;
    use crate::flow::Tuple;

    /// An error of the list does not end the request, and the first one is reported.
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
            let lanes = Arc::new(Lanes::unconnected());
            Bulk::new(lanes, Source::stream(changes)).await.unwrap()
        });
        assert_eq!((report.failed_total, report.done()), (200, 200), "{report}");
        let why = report.incomplete.as_ref().expect("an error of the list");
        assert_eq!(why.kind(), Error::overrun().kind());
        let error = report.into_result().expect_err("it is incomplete");
        assert_ne!(error.kind(), ErrorKind::InvalidInput);
    }
}
