//! Flush: removes all flows, or those of one family.

use std::future::IntoFuture;
use std::sync::Arc;

use super::{RequestFuture, Table, Verb};
use crate::error::{Error, Result};
use crate::flow::Family;
use crate::transport::Lanes;
use crate::transport::walk::SEQ;
use crate::wire::message::{Frame, Request};
use crate::wire::uapi::*;

const FLUSH: Verb = Verb {
    name: "flush",
    doing: "flushing the table",
};

/// A flush to be: see [`ConntrackHandle::flush`](crate::ConntrackHandle::flush).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent before it is awaited"]
pub struct Flush {
    lanes: Arc<Lanes>,
    table: Table,
    family: Option<Family>,
}

impl Flush {
    pub(crate) fn new(lanes: Arc<Lanes>, table: Table) -> Self {
        Self {
            lanes,
            table,
            family: None,
        }
    }

    /// One family alone, `-f` (Linux 5.3); the flows of the other stay. Without it, both go.
    pub fn family(mut self, family: Family) -> Self {
        self.family = Some(family);
        self
    }

    fn request(&self) -> Result<Request> {
        if self.table != Table::Conntrack {
            return Err(Error::invalid_input(format!(
                "the kernel flushes no table but Conntrack, and {:?} was asked for",
                self.table
            )));
        }
        let family = self.family.map_or(AF_UNSPEC, Family::number);
        // In version 0 the kernel would not look at the family, and remove all flows.
        Ok(Request::new(IPCTNL_MSG_CT_DELETE, 0, family).version(NFNETLINK_V1))
    }
}

impl IntoFuture for Flush {
    type Output = Result<()>;
    type IntoFuture = RequestFuture<()>;

    fn into_future(self) -> RequestFuture<()> {
        FLUSH.run(self.lanes.clone(), self.family, move |lanes| async move {
            let mut walk = lanes.walk(self.request()?)?;
            tracing::Span::current().record("seq", SEQ);
            while let Some(datagram) = walk.next().await {
                let datagram = datagram?;
                let mut rest = &datagram[..];
                while let Some(Ok(frame)) = Frame::first(rest) {
                    if let Some(verdict) = frame.verdict().filter(|_| frame.seq == SEQ) {
                        return Error::check(verdict);
                    }
                    rest = rest.get(frame.stride()..).unwrap_or_default();
                }
            }
            Err(Error::unanswered())
        })
    }
}
