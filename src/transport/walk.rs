//! The walk lane: a table walk on a socket and a thread of its own.
//!
//! Not on tokio's blocking pool: its threads are limited and shared, so that lists whose readers
//! are slow would keep each other (and the program's own blocking work) from starting; and they
//! linger, in whatever namespace.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use super::netns::Namespace;
use super::socket::unreceived;
use super::turn;
use crate::error::{Error, Result};
use crate::wire::message::{Frame, Request};

/// The sequence number of the only request of a walk's socket. Not 0, which events carry.
pub(crate) const SEQ: u32 = 1;

/// Pairs that wait for the reader; the thread has one more in its hands.
const AHEAD: usize = 1;

/// Datagrams are handed over two by two, for half the wake-ups of the reader: a list of a million
/// flows took 1.02 times the bare receive loop, and 1.06 one by one.
type Pair = (Bytes, Option<Bytes>);

/// The thread needs little: the kernel walks, and decoding is the reader's.
const STACK: usize = 128 * 1024;

/// A walk under way. Dropping it ends the thread and closes the socket: when the kernel hands over
/// the datagrams that it is filling, or, where the walk has yet to begin, when its turn comes.
#[derive(Debug)]
pub(crate) struct Walk {
    pairs: mpsc::Receiver<Result<Pair>>,
    second: Option<Bytes>,
}

impl Walk {
    pub(crate) fn start(namespace: Namespace, request: Request, timeout: Duration) -> Result<Self> {
        let (sender, pairs) = mpsc::channel(AHEAD);
        std::thread::Builder::new()
            .name("ctnetlink-walk".into())
            .stack_size(STACK)
            .spawn(move || {
                if let Err(error) = run(&namespace, request, timeout, &sender) {
                    // A reader that is gone needs no error.
                    let _ = sender.blocking_send(Err(error));
                }
            })
            .map_err(|cause| Error::io("starting a thread", cause))?;
        Ok(Self {
            pairs,
            second: None,
        })
    }

    /// The next datagram; `None` after the one that has the kernel's verdict.
    #[inline]
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if let Some(second) = self.second.take() {
            return Poll::Ready(Some(Ok(second)));
        }
        self.pairs.poll_recv(cx).map_ok(|(first, second)| {
            self.second = second;
            first
        })
    }

    pub(crate) async fn next(&mut self) -> Option<Result<Bytes>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }
}

#[cfg(test)]
impl Walk {
    /// A walk that hands over these datagrams and is gone.
    pub(crate) fn of(datagrams: Vec<Result<Bytes>>) -> Self {
        let (sender, receiver) = mpsc::channel(datagrams.len().max(1));
        for datagram in datagrams {
            let alone = datagram.map(|datagram| (datagram, None));
            sender.try_send(alone).expect("room for all");
        }
        Self {
            pairs: receiver,
            second: None,
        }
    }
}

fn run(
    namespace: &Namespace,
    request: Request,
    timeout: Duration,
    reader: &mpsc::Sender<Result<Pair>>,
) -> Result<()> {
    let socket = {
        let Some(_turn) = turn::of_walk(|| reader.is_closed()) else {
            return Ok(());
        };
        // Not before: of many walks in line, each would hold a socket.
        let socket = namespace.socket()?;
        socket.set_timeout(timeout)?;
        socket
            .send(&request.finish(SEQ))
            .map_err(|cause| Error::io("sending a request", cause))?;
        socket
    };
    let mut buffer = BytesMut::new();
    let mut receive = || {
        socket.receive(&mut buffer).map_err(unreceived)?;
        Ok(buffer.split().freeze())
    };
    // The first goes alone: somebody waits to hear whether there is a walk at all.
    let mut alone = true;
    loop {
        let first = receive()?;
        let mut last = has_verdict(&first);
        let mut failure = None;
        let mut second = None;
        if !last && !alone {
            match receive() {
                Ok(datagram) => {
                    last = has_verdict(&datagram);
                    second = Some(datagram);
                }
                Err(error) => failure = Some(error),
            }
        }
        alone = false;
        let delivered = reader.blocking_send(Ok((first, second)));
        if let Some(error) = failure {
            return Err(error);
        }
        if last || delivered.is_err() {
            return Ok(());
        }
    }
}

/// Does the datagram have the last message of the walk? It comes in a datagram of its own, but
/// nothing promises that.
fn has_verdict(datagram: &[u8]) -> bool {
    Frame::all(datagram).any(|frame| frame.is_verdict_of(SEQ))
}
