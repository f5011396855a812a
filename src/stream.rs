//! Streams of flows and events.

pub(crate) mod events;
pub(crate) mod found;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::{FusedStream, Stream};

use crate::error::{Error, Result};
use crate::filter::{Filter, KernelFilter};
use crate::flow::{Family, Flow};
use crate::transport::Lanes;
use crate::transport::walk::{SEQ, Walk};
use crate::wire::message::Frame;

pub use events::{Backlog, EventStats, EventStream};
pub use found::FoundStream;

/// The flows of a walk of the table, as the kernel comes to them.
///
/// There is no snapshot: a flow that comes or goes during the walk may be seen or not, and one
/// may be seen twice. The kernel waits for the reader: two datagrams wait, and the thread
/// has two more in its hands, some 400 flows, however slow the reader is.
///
/// A message that does not decode is one `Err` item of kind
/// [`Decode`](crate::ErrorKind::Decode), with its bytes; the stream goes on. An error that ends
/// the walk is the last item.
///
/// # Cancellation
///
/// `next()` is cancel-safe: a flow is never lost between two calls. Dropping the stream ends the
/// walk: its thread and socket are gone as soon as the kernel hands over the datagrams that it is
/// at.
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct FlowStream {
    walk: Walk,
    datagram: Bytes,
    /// Where in the datagram the next message begins.
    at: usize,
    wanted: Wanted,
    done: bool,
    /// Opens the text of an error.
    doing: &'static str,
    /// Keeps the connection open.
    _lanes: Arc<Lanes>,
}

/// The flows of a walk that the stream hands over.
#[derive(Debug)]
pub(crate) struct Wanted {
    family: Option<Family>,
    /// `None` for all: a list without a filter shall not pay for one.
    filter: Option<Filter>,
    by_kernel: KernelFilter,
}

impl FlowStream {
    /// The conditions that the kernel was asked to compare in this walk.
    ///
    /// It depends on the kernel, and on the filter: see [`KernelFilter`]. Where one is missing, the
    /// kernel hands over flows that do not meet it, and the stream drops them: that costs time, and
    /// no memory.
    pub fn kernel_filtered(&self) -> KernelFilter {
        self.wanted.by_kernel
    }

    /// Waits for the first datagram, so that an error that the kernel gives at once is the
    /// caller's and not an item.
    pub(crate) async fn open(
        lanes: Arc<Lanes>,
        mut walk: Walk,
        wanted: Wanted,
        doing: &'static str,
    ) -> Result<Self> {
        let datagram = walk
            .next()
            .await
            .unwrap_or_else(|| Err(Error::unanswered()))?;
        if let Some(Ok(frame)) = Frame::first(&datagram) {
            if let Some(verdict) = frame.verdict().filter(|_| frame.seq == SEQ) {
                Error::check(verdict)?;
            }
        }
        Ok(Self {
            walk,
            datagram,
            at: 0,
            wanted,
            done: false,
            doing,
            _lanes: lanes,
        })
    }

    /// An error as an item.
    #[cold]
    fn failed(&self, error: Error) -> Poll<Option<Result<Flow>>> {
        Poll::Ready(Some(Err(error.while_(self.doing))))
    }
}

impl Wanted {
    /// `by_kernel` is what of it the kernel was asked to compare.
    pub(crate) fn new(family: Option<Family>, filter: Filter, by_kernel: KernelFilter) -> Self {
        Self {
            family,
            filter: Some(filter).filter(|filter| !filter.is_empty()),
            by_kernel,
        }
    }

    /// The kernel's word is not enough: older ones ignore what they do not know, and the family for
    /// some of the tables.
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

    /// In one piece, so that a flow is written where the caller wants it, and not passed on and on:
    /// each copy of its 232 bytes takes a tenth of what decoding it does.
    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Flow>>> {
        let this = self.get_mut();
        while !this.done {
            let rest = this.datagram.get(this.at..).unwrap_or_default();
            let frame = match Frame::first(rest) {
                Some(Ok(frame)) => frame,
                Some(Err(cause)) => {
                    let error = Error::decode(cause, rest);
                    this.at = this.datagram.len();
                    return this.failed(error);
                }
                None => {
                    match ready!(this.walk.poll_next(cx)) {
                        Some(Ok(datagram)) => (this.datagram, this.at) = (datagram, 0),
                        end => {
                            this.done = true;
                            let error = end.and_then(Result::err);
                            return this.failed(error.unwrap_or_else(Error::unanswered));
                        }
                    }
                    continue;
                }
            };
            this.at += frame.stride();
            if frame.seq != SEQ {
                continue;
            }
            if let Some(verdict) = frame.verdict() {
                this.done = true;
                match Error::check(verdict) {
                    Ok(()) => break,
                    Err(error) => return this.failed(error),
                }
            }
            if frame.is_control() {
                continue;
            }
            match Flow::decode(&frame) {
                Ok(flow) if this.wanted.has(&flow) => return Poll::Ready(Some(Ok(flow))),
                Ok(_) => {}
                Err(cause) => {
                    let error = Error::decode(cause, frame.bytes);
                    return this.failed(error);
                }
            }
        }
        Poll::Ready(None)
    }
}

impl FusedStream for FlowStream {
    fn is_terminated(&self) -> bool {
        self.done
    }
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::ErrorKind;
    use crate::wire::golden::{bytes, reply};

    const DONE: &str = "14000000 0300 0200 01000000 00000000 00000000";

    /// A message of the walk: with its sequence number.
    fn ours(mut message: Vec<u8>) -> Vec<u8> {
        message[8..12].copy_from_slice(&SEQ.to_ne_bytes());
        message
    }

    fn items(datagrams: Vec<Vec<u8>>) -> Vec<Result<Flow>> {
        let walk = Walk::of(
            datagrams
                .into_iter()
                .map(|bytes| Ok(bytes.into()))
                .collect(),
        );
        let mut stream = FlowStream {
            walk,
            datagram: Bytes::new(),
            at: 0,
            wanted: Wanted {
                family: None,
                filter: None,
                by_kernel: KernelFilter::empty(),
            },
            done: false,
            doing: "listing",
            _lanes: Arc::new(Lanes::of_nobody()),
        };
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
        // The original tuple's first nest says that it is longer than the tuple.
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
        assert_eq!(kinds(&items), [None, Some(ErrorKind::TableFull)]);
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
