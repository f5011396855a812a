//! List: the expectations of the namespace, or of one flow.

use std::future::IntoFuture;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::expectation::Expectation;
use crate::flow::{Family, FlowKey};
use crate::request::{RequestFuture, Verb};
use crate::stream::{ExpectationStream, Items};
use crate::transport::Lanes;
use crate::wire::message::Request;
use crate::wire::table::Context;
use crate::wire::uapi::*;

const LIST: Verb = Verb {
    name: "expectation_list",
    doing: "listing the expectations",
};

/// Awaiting it gives an [`ExpectationStream`]. `.into_future()` gives the future itself, for
/// `tokio::spawn`, `block_on`, `join_all` and `FuturesUnordered`.
///
/// See [`Expectations::list`](crate::Expectations::list).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent before it is awaited"]
pub struct ListExpectations {
    lanes: Arc<Lanes>,
    family: Option<Family>,
    master: Option<FlowKey>,
}

impl ListExpectations {
    pub(crate) fn new(lanes: Arc<Lanes>) -> Self {
        Self {
            lanes,
            family: None,
            master: None,
        }
    }

    /// Lists only this family, `-f`. Without it, one walk lists both.
    pub fn family(mut self, family: Family) -> Self {
        self.family = Some(family);
        self
    }

    /// Lists only the expectations of this flow. `CTA_EXPECT_MASTER`. Their
    /// [zone](field@Expectation::zone) is the zone of the flow.
    pub fn master(mut self, master: impl Into<FlowKey>) -> Self {
        self.master = Some(master.into());
        self
    }
}

impl IntoFuture for ListExpectations {
    type Output = Result<ExpectationStream>;
    type IntoFuture = RequestFuture<ExpectationStream>;

    fn into_future(self) -> RequestFuture<ExpectationStream> {
        let Self {
            lanes,
            family,
            master,
        } = self;
        LIST.run_for_long(lanes, family, move |task| async move {
            let of_master = master.as_ref().map(|master| master.tuple().family());
            if let (Some(listed), Some(of_master)) = (family, of_master) {
                if listed != of_master {
                    return Err(Error::invalid_input(format!(
                        "master: it is of {of_master}, in a list of {listed}"
                    )));
                }
            }
            let opened = task
                .walk(request(family.or(of_master), master.as_ref()))
                .await;
            let items = opened
                .and_then(|(walk, first)| Items::open(task.lanes.clone(), walk, first, LIST.doing));
            let items = items.map_err(|error| match error.errno() {
                Some(ENOENT) => error.meaning(
                    ErrorKind::NotFound,
                    "the flow whose expectations were asked for is not in the table",
                ),
                _ => error,
            })?;
            let zone = master.map(|master| master.zone_id());
            Ok(ExpectationStream::new(items, family, zone))
        })
    }
}

/// A flow without a helper has no expectations. The kernel then sends only the ACK, which every
/// request asks for.
pub(super) fn request(family: Option<Family>, master: Option<&FlowKey>) -> Request {
    let family = family.map_or(AF_UNSPEC, Family::number);
    Request::new(IPCTNL_MSG_EXP_GET, NLM_F_DUMP, family).with(|w| {
        if let Some(master) = master {
            Expectation::master.put(master.tuple(), &Context::default(), w);
            Expectation::zone.put_some(Some(&master.zone_id()).filter(|zone| **zone != 0), w);
        }
    })
}
