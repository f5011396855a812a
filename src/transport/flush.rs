//! A flush is one request that holds the kernel's lock while the kernel walks the table. It has its
//! own socket and its own thread.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::oneshot;

use super::netns::Namespace;
use super::pool::Pool;
use super::socket::unreceived;
use super::turn;
use super::walk::{Begun, SEQ};
use crate::error::{Error, Result};
use crate::wire::message::{Frame, Request};

/// A flush in flight. If it is dropped before its turn comes, nothing is sent.
#[derive(Debug)]
pub(crate) struct Flush {
    result: oneshot::Receiver<Result<()>>,
    begun: Begun,
}

impl Flush {
    pub(super) fn start(
        pool: &Pool,
        namespace: Namespace,
        request: Request,
        timeout: Duration,
    ) -> Result<Self> {
        let (sender, result) = oneshot::channel();
        let begun = Begun::default();
        let begins = begun.clone();
        pool.spawn("ctnetlink-flush", move |thread| {
            if let Err(error) = thread {
                let _ = sender.send(Err(error));
                return;
            }
            let Some(turn) = turn::begin_flush(|| sender.is_closed()) else {
                return;
            };
            begins.set();
            let result = flush(&namespace, request, timeout);
            drop(turn);
            let _ = sender.send(result);
        })?;
        Ok(Self { result, begun })
    }

    /// Tells when the kernel began to work on it.
    pub(crate) fn begun(&self) -> Begun {
        self.begun.clone()
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.result)
            .poll(cx)
            .map(|result| result.unwrap_or_else(|_| Err(Error::closed())))
    }
}

fn flush(namespace: &Namespace, request: Request, timeout: Duration) -> Result<()> {
    let socket = namespace.socket()?;
    socket.set_timeout(timeout)?;
    socket.send(&request.finish(SEQ)).map_err(Error::sending)?;
    let mut datagram = BytesMut::new();
    loop {
        datagram.clear();
        socket.receive(&mut datagram).map_err(unreceived)?;
        let verdict = Frame::all(&datagram)
            .filter(|frame| frame.seq == SEQ)
            .find_map(|frame| frame.verdict());
        if let Some(verdict) = verdict {
            return Error::check(verdict);
        }
    }
}
