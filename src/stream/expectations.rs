//! The stream of expectations.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};

use super::items::Items;
use crate::error::Result;
use crate::expectation::Expectation;
use crate::flow::Family;

/// The expectations of a list, in the order in which the kernel walks its table.
///
/// It is not a snapshot: an expectation that begins or ends during the walk may be returned or not,
/// and one may be returned twice. The kernel waits for the reader.
///
/// A message that does not decode is one `Err` item of kind
/// [`Decode`](crate::ErrorKind::Decode), with its bytes; the stream goes on. An error that ends
/// the walk is the last item.
///
/// # Cancellation
///
/// `next()` is cancel-safe: an expectation is never lost between two calls. Dropping the stream
/// ends the walk.
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct ExpectationStream {
    items: Items<Expectation>,
    family: Option<Family>,
    /// The zone of the requested master, which the kernel does not report.
    zone: Option<u16>,
}

impl ExpectationStream {
    pub(crate) fn new(
        items: Items<Expectation>,
        family: Option<Family>,
        zone: Option<u16>,
    ) -> Self {
        Self {
            items,
            family,
            zone,
        }
    }
}

impl Stream for ExpectationStream {
    type Item = Result<Expectation>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self {
            items,
            family,
            zone,
        } = self.get_mut();
        let wanted =
            |expectation: &Expectation| family.is_none_or(|family| family == expectation.family());
        items.poll_next(cx, wanted).map_ok(|mut expectation| {
            expectation.zone = expectation.zone.or(*zone);
            expectation
        })
    }
}

impl FusedStream for ExpectationStream {
    fn is_terminated(&self) -> bool {
        self.items.are_done()
    }
}
