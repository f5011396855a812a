//! The listen lane: events, on a socket that one reader owns.
//!
//! Nothing stands between the socket and its reader: what is not read stays in the socket's queue,
//! and what the queue has no room for is lost, and counted.
//!
//! Where the queue overflows, the kernel says so once (`ENOBUFS`), before what is in the queue, and
//! queues nothing more until all of that is read. So the gap is behind the datagrams that are there
//! when the error comes, and before those that come later.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use super::socket::Socket;
use super::socket::listen::{Batch, MANY, Queue};
use super::watched::Watched;
use crate::error::Result;
use crate::wire::bpf::Instruction;
use crate::wire::uapi::ENOBUFS;

/// More than the kernel counts for a datagram: so many bytes are one at the least.
const LARGE: usize = 8192;

/// Less than the kernel counts for a datagram: so many bytes are one at the most.
const SMALL: usize = 512;

/// What to listen to, and how.
#[derive(Debug, Clone)]
pub(crate) struct Listen {
    pub(crate) groups: Vec<u32>,
    pub(crate) program: Option<Vec<Instruction>>,
    pub(crate) receive_buffer: usize,
    pub(crate) reliable: bool,
    pub(crate) all_namespaces: bool,
}

/// A socket that hears events.
pub(crate) struct Listener {
    socket: Arc<Watched>,
    /// Until there is news.
    waiting: Option<Waiting>,
    batch: Batch,
    /// The next of the batch.
    at: usize,
    gap: Gap,
    /// The socket's drops of which the reader knows.
    told: u32,
    /// Does the kernel go on queueing after a loss, and not tell of it?
    is_silent: bool,
}

type Waiting = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// The queue of a listener, for others to look at.
#[derive(Debug, Clone)]
pub(crate) struct Gauge(Weak<Watched>);

impl Gauge {
    /// The queue; `None` where the listener is gone, or its socket failed.
    pub(crate) fn queue(&self) -> Option<Queue> {
        self.0.upgrade()?.socket().queue().ok()
    }
}

/// What the reader is yet to be told of a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    None,
    /// Behind what is in the queue: so many bytes.
    BehindBytes(usize),
    /// Behind so many datagrams, or where the queue is empty.
    Behind(usize),
    /// Here, behind what is left of the batch.
    Here(u32),
}

/// What a listener hears.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard<'a> {
    /// A datagram, and the id of the namespace that it is from.
    Datagram(&'a [u8], Option<u32>),
    /// So many were lost here.
    Lost(u32),
}

impl Listener {
    /// Opens the lane on a socket of the right namespace.
    pub(crate) fn new(socket: Socket, listen: &Listen) -> Result<Self> {
        if let Some(program) = &listen.program {
            socket.attach(program)?;
        }
        socket.force_receive_queue(listen.receive_buffer)?;
        if listen.reliable {
            socket.set_reliable()?;
        }
        if listen.all_namespaces {
            socket.set_all_namespaces()?;
        }
        // Last, so that nothing comes that should not.
        for group in &listen.groups {
            socket.join(*group)?;
        }
        let socket = Watched::new(socket)?;
        let mut listener = Self {
            socket: Arc::new(socket),
            waiting: None,
            batch: Batch::new(listen.all_namespaces),
            at: 0,
            gap: Gap::None,
            told: 0,
            is_silent: listen.reliable,
        };
        listener.wait();
        Ok(listener)
    }

    /// The socket's queue, and its losses.
    pub(crate) fn queue(&self) -> io::Result<Queue> {
        self.socket.socket().queue()
    }

    /// Shows the queue to others, for as long as the listener is there.
    pub(crate) fn gauge(&self) -> Gauge {
        Gauge(Arc::downgrade(&self.socket))
    }

    /// The socket's drops of which the reader knows.
    pub(crate) fn told(&self) -> u32 {
        self.told
    }

    /// Has the reader all that was sent until now?
    pub(crate) fn is_drained(&self) -> bool {
        let has_all = self.at == self.batch.len() && self.gap == Gap::None;
        has_all
            && self.waiting.is_some()
            && self
                .queue()
                .is_ok_and(|queue| queue.used == 0 && queue.drops == self.told)
    }

    /// Looks at the socket in the next poll, whether there is news or not: what is counted late as
    /// lost is not told.
    pub(crate) fn look(&mut self) {
        self.waiting = None;
    }

    /// The next datagram or gap. An error is the socket's end.
    #[inline]
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Heard<'_>>> {
        while self.at == self.batch.len() {
            if let Gap::Here(lost) = self.gap {
                self.gap = Gap::None;
                return Poll::Ready(Ok(Heard::Lost(lost)));
            }
            ready!(self.poll_fill(cx))?;
        }
        self.at += 1;
        let (datagram, nsid) = self.batch.get(self.at - 1);
        Poll::Ready(Ok(Heard::Datagram(datagram, nsid)))
    }

    /// Receives, or comes to a gap, or waits.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(waiting) = &mut self.waiting {
            let news = ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
            news?;
        }
        let many = match self.gap {
            // No more than are there, so that what comes behind the gap stays behind it.
            Gap::BehindBytes(bytes) => (bytes / LARGE).clamp(1, MANY),
            _ => MANY,
        };
        let Self { socket, batch, .. } = self;
        batch.clear();
        self.at = 0;
        match socket.try_io(|socket| socket.receive_many(batch, many)) {
            Ok(()) => self.received()?,
            Err(cause) if cause.raw_os_error() == Some(ENOBUFS) => {
                let queue = self.queue()?;
                match self.queued()? {
                    0 => self.comes_to_gap(queue),
                    bytes => self.gap = Gap::BehindBytes(bytes),
                }
            }
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => self.emptied()?,
            Err(cause) => return Poll::Ready(Err(cause)),
        }
        Poll::Ready(Ok(()))
    }

    /// Behind a batch: is this where the gap is?
    fn received(&mut self) -> io::Result<()> {
        match self.gap {
            Gap::None if !self.is_silent => {}
            Gap::None => {
                let queue = self.queue()?;
                if queue.drops != self.told {
                    // What is in the queue may be older than the loss.
                    match queue.used / SMALL {
                        0 => self.comes_to_gap(queue),
                        datagrams => self.gap = Gap::Behind(datagrams),
                    }
                }
            }
            Gap::BehindBytes(before) => {
                let queue = self.queue()?;
                // What is there may be of later ones already.
                let left = before.saturating_sub(self.taken()).min(queue.used);
                match left < taken_by(0) {
                    true => self.comes_to_gap(queue),
                    false => self.gap = Gap::BehindBytes(left),
                }
            }
            Gap::Behind(datagrams) => match datagrams.saturating_sub(self.batch.len()) {
                0 => self.comes_to_gap(self.queue()?),
                left => self.gap = Gap::Behind(left),
            },
            Gap::Here(_) => {}
        }
        Ok(())
    }

    /// What is in a queue that takes no more. What the kernel counts is for moments more than that: it
    /// adds a datagram before it finds that there is no room. The least of several looks is right.
    fn queued(&self) -> io::Result<usize> {
        const LOOKS: usize = 8;
        let looks = (0..LOOKS).map(|_| self.queue().map(|queue| queue.used));
        looks
            .reduce(|one, other| Ok(one?.min(other?)))
            .unwrap_or(Ok(0))
    }

    /// What the batch took of the queue.
    fn taken(&self) -> usize {
        let read = (0..self.batch.len()).map(|at| taken_by(self.batch.get(at).0.len()));
        read.sum()
    }

    /// The queue was empty a moment ago.
    fn emptied(&mut self) -> io::Result<()> {
        let queue = self.queue()?;
        // The last of a loss is counted after the queue has room again, and not told.
        let late = queue.used == 0 && queue.drops != self.told;
        match self.gap {
            Gap::None if !late => self.wait(),
            _ => self.comes_to_gap(queue),
        }
        Ok(())
    }

    fn comes_to_gap(&mut self, queue: Queue) {
        self.gap = Gap::Here(queue.drops.wrapping_sub(self.told));
        self.told = queue.drops;
    }

    fn wait(&mut self) {
        let socket = self.socket.clone();
        self.waiting = Some(Box::pin(async move { socket.ready().await }));
    }
}

/// What the kernel counts for a datagram of this length: the memory that it has of the allocator, and
/// its `sk_buff` (Linux 6.18: 1280 bytes for an event).
fn taken_by(len: usize) -> usize {
    const SHARED_INFO: usize = 320;
    const SK_BUFF: usize = 256;
    (len.max(20) + SHARED_INFO).next_power_of_two() + SK_BUFF
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("socket", &self.socket)
            .field("gap", &self.gap)
            .finish_non_exhaustive()
    }
}
