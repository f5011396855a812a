//! Lists the table for the mirror.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;

use super::drain::Drain;
use super::{AT_ONCE, Mirror};
use crate::error::ErrorKind;
use crate::flow::Flow;
use crate::request::{RequestFuture, Table};
use crate::stream::FlowStream;

/// The state of the list.
pub(super) enum Listing {
    Rest,
    Opening(RequestFuture<FlowStream>),
    Open {
        flows: Box<FlowStream>,
        /// Flows to apply.
        read: Vec<Flow>,
        is_whole: bool,
    },
    /// The list has ended, and waits until the events that were sent before its end are applied.
    Drain(Drain),
    Sweep,
}

impl Listing {
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self, Self::Rest)
    }
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rest => "Rest",
            Self::Opening(_) => "Opening",
            Self::Open { .. } => "Open",
            Self::Drain(_) => "Drain",
            Self::Sweep => "Sweep",
        })
    }
}

impl Mirror {
    pub(super) fn begin_list(&mut self, now: Duration) {
        self.state.list_began(now);
        let list = self.handle.list(Table::Conntrack);
        let list = list.filter(self.state.filter());
        self.listing = Listing::Opening(list.into_future());
    }

    /// Continues the list. Returns whether there is more to do at once.
    pub(super) fn poll_list(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.now();
        match &mut self.listing {
            Listing::Rest => false,
            Listing::Opening(opening) => match Pin::new(opening).poll(cx) {
                Poll::Pending => false,
                Poll::Ready(Ok(flows)) => {
                    self.listing = Listing::Open {
                        flows: Box::new(flows),
                        read: Vec::with_capacity(AT_ONCE),
                        is_whole: true,
                    };
                    true
                }
                Poll::Ready(Err(error)) => {
                    self.state.list_failed(now);
                    self.listing = Listing::Rest;
                    self.failed(error);
                    true
                }
            },
            Listing::Open {
                flows,
                read,
                is_whole,
            } => {
                let end = loop {
                    if read.len() == AT_ONCE {
                        break None;
                    }
                    match Pin::new(&mut *flows).poll_next(cx) {
                        Poll::Ready(Some(Ok(flow))) => read.push(flow),
                        end => break Some(end),
                    }
                };
                self.state.listed(read, now);
                match end {
                    None => {}
                    Some(Poll::Pending) => return false,
                    Some(Poll::Ready(Some(Err(error)))) => {
                        // It is unknown which flow could not be decoded.
                        *is_whole = false;
                        if error.kind() == ErrorKind::Decode {
                            self.state.stats.decode_errors += 1;
                        }
                        self.failed(error);
                    }
                    Some(Poll::Ready(_)) if *is_whole => {
                        self.listing = Listing::Drain(Drain::of(&self.events));
                    }
                    Some(Poll::Ready(_)) => {
                        self.state.list_failed(now);
                        self.listing = Listing::Rest;
                    }
                }
                true
            }
            Listing::Drain(drain) => {
                if !drain.is_done(&self.events) {
                    return false;
                }
                self.state.list_ended();
                self.listing = Listing::Sweep;
                true
            }
            Listing::Sweep => {
                if !self.state.sweep(now) {
                    self.listing = Listing::Rest;
                }
                true
            }
        }
    }
}
