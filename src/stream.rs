//! Streams of flows and events.

pub(crate) mod events;
pub(crate) mod expectations;
pub(crate) mod found;
mod items;

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};

use crate::error::Result;
use crate::filter::{Filter, KernelFilter};
use crate::flow::{Family, Flow};

pub use events::{Backlog, EventStats, EventStream};
pub use expectations::ExpectationStream;
pub use found::FoundStream;
pub(crate) use items::Items;

/// The flows of a list, in the order in which the kernel walks its table.
///
/// It is not a snapshot: a flow that begins or ends during the walk may be returned or not, and a
/// flow may be returned twice. The kernel waits for the reader: at most about 1200 flows are read
/// ahead, however slow the reader is. While the reader pauses, the stream holds a socket but no
/// thread.
///
/// A message that does not decode is one `Err` item of kind
/// [`Decode`](crate::ErrorKind::Decode), with its bytes; the stream goes on. An error that ends
/// the walk is the last item.
///
/// # Cancellation
///
/// `next()` is cancel-safe: a flow is never lost between two calls. Dropping the stream ends the
/// walk. Its socket is closed as soon as the kernel has finished the datagram that it is filling.
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct FlowStream {
    items: Items<Flow>,
    wanted: StreamFilter,
}

/// Selects the flows of a walk that the stream returns.
#[derive(Debug)]
pub(crate) struct StreamFilter {
    family: Option<Family>,
    /// `None` for all flows, so that a list without a filter does not pay for one.
    filter: Option<Filter>,
    by_kernel: KernelFilter,
}

impl FlowStream {
    /// The conditions that the kernel was asked to compare in this walk.
    ///
    /// They depend on the kernel and on the filter: see [`KernelFilter`]. If a condition is missing
    /// here, the kernel also sends flows that do not meet it, and the stream drops them. That costs
    /// time, but no memory.
    pub fn kernel_filtered(&self) -> KernelFilter {
        self.wanted.by_kernel
    }

    pub(crate) fn new(items: Items<Flow>, wanted: StreamFilter) -> Self {
        Self { items, wanted }
    }
}

impl StreamFilter {
    /// `by_kernel` are the conditions that the kernel was asked to compare.
    pub(crate) fn new(family: Option<Family>, filter: Filter, by_kernel: KernelFilter) -> Self {
        Self {
            family,
            filter: Some(filter).filter(|filter| !filter.is_empty()),
            by_kernel,
        }
    }

    /// Compare everything again: older kernels ignore attributes that they do not know, and in some
    /// tables the family.
    #[inline]
    fn has(&self, flow: &Flow) -> bool {
        self.family.is_none_or(|family| family == flow.family())
            && self
                .filter
                .as_ref()
                .is_none_or(|filter| filter.matches(flow))
    }
}

impl Stream for FlowStream {
    type Item = Result<Flow>;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Flow>>> {
        let Self { items, wanted } = self.get_mut();
        items.poll_next(cx, |flow| wanted.has(flow))
    }
}

impl FusedStream for FlowStream {
    fn is_terminated(&self) -> bool {
        self.items.are_done()
    }
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use std::sync::Arc;
    use std::task::Waker;

    use bytes::BytesMut;

    use super::*;
    use crate::transport::Lanes;
    use crate::transport::walk::{SEQ, Walk};
    use crate::wire::golden::{bytes, reply};
    use crate::{Error, ErrorKind};

    const DONE: &str = "14000000 0300 0200 01000000 00000000 00000000";

    /// A message of the walk, with its sequence number.
    fn ours(mut message: Vec<u8>) -> Vec<u8> {
        message[8..12].copy_from_slice(&SEQ.to_ne_bytes());
        message
    }

    fn items(datagrams: Vec<Vec<u8>>) -> Vec<Result<Flow>> {
        let walk = Walk::of(datagrams.into_iter().map(Ok).collect());
        let lanes = Arc::new(Lanes::unconnected());
        let items = Items::open(lanes, walk, BytesMut::new(), "listing").expect("items");
        let wanted = StreamFilter {
            family: None,
            filter: None,
            by_kernel: KernelFilter::empty(),
        };
        let mut stream = FlowStream::new(items, wanted);
        let mut cx = Context::from_waker(Waker::noop());
        let mut items = Vec::new();
        while let Poll::Ready(Some(item)) = Pin::new(&mut stream).poll_next(&mut cx) {
            items.push(item);
        }
        assert!(stream.is_terminated());
        items
    }

    fn kinds(items: &[Result<Flow>]) -> Vec<Option<ErrorKind>> {
        let kind = |item: &Result<Flow>| item.as_ref().err().map(Error::kind);
        items.iter().map(kind).collect()
    }

    #[test]
    fn a_message_that_does_not_decode_is_an_item_with_its_bytes() {
        let flow = ours(reply("tcp_ipv4"));
        // The first nest of the original tuple has a length beyond the tuple.
        let mut damaged = flow.clone();
        damaged[24] = 0xff;
        let datagram = [flow.clone(), damaged.clone(), flow].concat();
        let items = items(vec![datagram, bytes(DONE)]);
        assert_eq!(kinds(&items), [None, Some(ErrorKind::Decode), None]);
        let error = items[1].as_ref().unwrap_err();
        assert_eq!(error.bytes(), Some(&damaged[..]));
        assert!(error.to_string().starts_with("listing: "), "{error}");
    }

    #[test]
    fn a_datagram_cut_short_is_an_item_and_the_next_goes_on() {
        let flow = ours(reply("tcp_ipv4"));
        let cut = flow[..100].to_vec();
        let items = items(vec![[flow.clone(), cut].concat(), flow, bytes(DONE)]);
        assert_eq!(kinds(&items), [None, Some(ErrorKind::Decode), None]);
    }

    #[test]
    fn a_late_error_is_the_last_item() {
        let flow = ours(reply("tcp_ipv4"));
        let no_memory = bytes("14000000 0300 0200 01000000 00000000 f4ffffff");
        let items = items(vec![flow.clone(), no_memory, flow]);
        assert_eq!(kinds(&items), [None, Some(ErrorKind::Kernel)]);
    }

    #[test]
    fn a_walk_that_ends_without_a_word_is_an_error() {
        let items = items(vec![ours(reply("tcp_ipv4"))]);
        assert_eq!(kinds(&items), [None, Some(ErrorKind::Kernel)]);
    }

    #[test]
    fn what_is_not_the_answer_is_passed_over() {
        let (mut other, flow) = (reply("tcp_ipv4"), ours(reply("udp_ipv6")));
        other[8..12].copy_from_slice(&77u32.to_ne_bytes());
        let noop = bytes("10000000 0100 0000 01000000 00000000");
        let items = items(vec![[other, noop, flow].concat(), bytes(DONE)]);
        assert_eq!(kinds(&items), [None]);
        assert_eq!(items[0].as_ref().unwrap().family(), Family::Ipv6);
    }
}
