//! The listen lane: events, on a socket that belongs to one reader.
//!
//! There is no buffer between the socket and its reader. Events that are not read stay in the
//! socket's receive queue. When the queue is full, further events are lost, and counted.
//!
//! When the queue overflows, the kernel reports one error (`ENOBUFS`) ahead of the queued
//! datagrams, and queues nothing more until all of them are read. So the gap is behind the
//! datagrams that are in the queue when the error is reported, and before all later ones.

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

/// An upper bound for the bytes that the kernel counts for one datagram.
const LARGE: usize = 8192;

/// A lower bound for the bytes that the kernel counts for one datagram.
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

/// A socket that receives events.
pub(crate) struct Listener {
    socket: Arc<Watched>,
    /// The wait for readiness; `None` when the socket is to be read at once.
    waiting: Option<Waiting>,
    batch: Batch,
    /// The index of the next datagram in the batch.
    at: usize,
    gap: Gap,
    /// The number of drops that were reported to the reader.
    reported: u32,
    /// With the reliable option, the kernel reports no error for a loss and continues to queue.
    is_silent: bool,
}

type Waiting = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// A view of a listener's queue, for other tasks.
#[derive(Debug, Clone)]
pub(crate) struct Gauge(Weak<Watched>);

impl Gauge {
    /// The state of the queue; `None` if the listener was dropped, or its socket failed.
    pub(crate) fn queue(&self) -> Option<Queue> {
        self.0.upgrade()?.socket().queue().ok()
    }
}

/// A loss that was not reported to the reader yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    None,
    /// The gap is behind this many queued bytes.
    BehindBytes(usize),
    /// The gap is behind this many datagrams, or at the point where the queue is empty.
    Behind(usize),
    /// The gap is behind the rest of the batch, and this many datagrams were lost.
    Here(u32),
}

/// What a listener receives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard<'a> {
    /// A datagram, and the id of its network namespace.
    Datagram(&'a [u8], Option<u32>),
    /// This many datagrams were lost here.
    Lost(u32),
}

impl Listener {
    /// Opens the lane on a socket that is in the right namespace.
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
        // Join last, so that no unwanted event is queued before the filter is attached.
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
            reported: 0,
            is_silent: listen.reliable,
        };
        listener.wait();
        Ok(listener)
    }

    /// The state of the socket's queue, and the number of losses.
    pub(crate) fn queue(&self) -> io::Result<Queue> {
        self.socket.socket().queue()
    }

    /// A view of the queue that works until the listener is dropped.
    pub(crate) fn gauge(&self) -> Gauge {
        Gauge(Arc::downgrade(&self.socket))
    }

    /// The number of drops that were reported to the reader.
    pub(crate) fn reported(&self) -> u32 {
        self.reported
    }

    /// Has the reader received everything that was sent so far?
    pub(crate) fn is_drained(&self) -> bool {
        let has_all = self.at == self.batch.len() && self.gap == Gap::None;
        has_all
            && self.waiting.is_some()
            && self
                .queue()
                .is_ok_and(|queue| queue.used == 0 && queue.drops == self.reported)
    }

    /// Reads the socket in the next poll, without waiting for readiness. A loss that is counted
    /// late does not wake the reader.
    pub(crate) fn look(&mut self) {
        self.waiting = None;
    }

    /// The next datagram or gap. After an error the socket is unusable.
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

    /// Receives a batch, reaches a gap, or waits.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(waiting) = &mut self.waiting {
            let news = ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
            news?;
        }
        let many = match self.gap {
            // Receive no more datagrams than are in front of the gap, so that the later ones stay
            // behind it.
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

    /// Called after a batch: finds out whether the gap is here.
    fn received(&mut self) -> io::Result<()> {
        match self.gap {
            Gap::None if !self.is_silent => {}
            Gap::None => {
                let queue = self.queue()?;
                if queue.drops != self.reported {
                    // The datagrams in the queue may be older than the loss.
                    match queue.used / SMALL {
                        0 => self.comes_to_gap(queue),
                        datagrams => self.gap = Gap::Behind(datagrams),
                    }
                }
            }
            Gap::BehindBytes(before) => {
                let queue = self.queue()?;
                // Some of the queued bytes may already belong to later datagrams.
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

    /// The bytes in a queue that is full. The kernel's count is too high for short moments, because
    /// it adds a datagram before it checks for room. The minimum of several reads is right.
    fn queued(&self) -> io::Result<usize> {
        const LOOKS: usize = 8;
        let looks = (0..LOOKS).map(|_| self.queue().map(|queue| queue.used));
        looks
            .reduce(|one, other| Ok(one?.min(other?)))
            .unwrap_or(Ok(0))
    }

    /// The bytes of the queue that the batch occupied.
    fn taken(&self) -> usize {
        let read = (0..self.batch.len()).map(|at| taken_by(self.batch.get(at).0.len()));
        read.sum()
    }

    /// Called when a receive found the queue empty.
    fn emptied(&mut self) -> io::Result<()> {
        let queue = self.queue()?;
        // The last drops of a loss can be counted after the queue has room again, and are not
        // reported.
        let late = queue.used == 0 && queue.drops != self.reported;
        match self.gap {
            Gap::None if !late => self.wait(),
            _ => self.comes_to_gap(queue),
        }
        Ok(())
    }

    fn comes_to_gap(&mut self, queue: Queue) {
        self.gap = Gap::Here(queue.drops.wrapping_sub(self.reported));
        self.reported = queue.drops;
    }

    fn wait(&mut self) {
        let socket = self.socket.clone();
        self.waiting = Some(Box::pin(async move { socket.ready().await }));
    }
}

/// The bytes that the kernel counts for a datagram of this length: the memory that it allocated,
/// and the `sk_buff` (1280 bytes for an event on Linux 6.18).
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
