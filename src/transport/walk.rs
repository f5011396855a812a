//! The walk lane: a dump, on a socket of its own and a thread of the [`Pool`].
//!
//! The kernel walks the table inside our `recv`. A thread receives for as long as the reader keeps
//! up. When enough datagrams wait for the reader, the walk is parked and the thread is free for
//! another walk. So a dump that is not read costs only its socket and the datagrams that wait, and
//! does not hold up other dumps.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::netns::Namespace;
use super::pool::Pool;
use super::socket::{Socket, unreceived};
use crate::error::{Error, Result};
use crate::wire::message::{Frame, Request};
use crate::wire::uapi::*;

/// The sequence number of a dump or a flush. It is not 0, because events have 0.
pub(crate) const SEQ: u32 = 1;

/// The sequence number of the message that is sent in front of the dump.
const NOOP_SEQ: u32 = 2;

/// The maximum number of datagrams that wait for the reader. The reader itself may hold as many.
const AHEAD: usize = 6;

/// The reader is woken when this many datagrams wait. A wake-up takes as long as decoding ten
/// flows.
const TOGETHER: usize = 3;

/// Datagrams in a row before the waiting walks get their turn.
const IN_A_ROW: usize = 16;

/// A walk in flight. Dropping it closes the socket: at once if the walk has not begun, else when
/// the kernel returns the datagram that it is filling.
#[derive(Debug)]
pub(crate) struct Walk {
    shared: Arc<Shared>,
    pool: Pool,
    /// Datagrams that were taken from the shared state and not read yet.
    ready: VecDeque<BytesMut>,
    /// Buffers that were read, to be filled again.
    free: Vec<BytesMut>,
    begun: Begun,
}

/// The time when the work began; `None` while it waits for its turn.
#[derive(Debug, Clone, Default)]
pub(crate) struct Begun(Arc<OnceLock<Instant>>);

impl Begun {
    pub(crate) fn get(&self) -> Option<Instant> {
        self.0.get().copied()
    }

    pub(super) fn set(&self) {
        // It is set only once.
        let _ = self.0.set(Instant::now());
    }
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    timeout: Duration,
    begun: Begun,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<BytesMut>,
    free: Vec<BytesMut>,
    reader: Option<Waker>,
    /// The walk that waits for the reader to make room.
    parked: Option<Walker>,
    end: Option<Result<()>>,
    is_dropped: bool,
}

/// The state of the kernel's walk.
#[derive(Debug)]
enum Walker {
    ToBegin(Namespace, Request),
    Begun(Socket),
}

impl Walk {
    pub(super) fn start(
        pool: &Pool,
        namespace: Namespace,
        request: Request,
        timeout: Duration,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            timeout,
            begun: Begun::default(),
        });
        enqueue(pool, &shared, Walker::ToBegin(namespace, request))?;
        Ok(Self::reader(pool, shared))
    }

    fn reader(pool: &Pool, shared: Arc<Shared>) -> Self {
        Self {
            begun: shared.begun.clone(),
            shared,
            pool: pool.clone(),
            ready: VecDeque::new(),
            free: Vec::new(),
        }
    }

    /// Replaces a datagram that was read with the next one. `None` after the datagram with the
    /// kernel's verdict.
    #[inline]
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        datagram: &mut BytesMut,
    ) -> Poll<Option<Result<()>>> {
        if self.ready.is_empty() {
            if let Some(end) = std::task::ready!(self.poll_ready(cx)) {
                return Poll::Ready(end.err().map(Err));
            }
        }
        if let Some(next) = self.ready.pop_front() {
            let mut free = std::mem::replace(datagram, next);
            free.clear();
            self.free.push(free);
        }
        Poll::Ready(Some(Ok(())))
    }

    /// Waits for datagrams, or for the end of the walk.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<()>>> {
        let mut state = self.shared.lock();
        std::mem::swap(&mut self.ready, &mut state.ready);
        state.free.append(&mut self.free);
        if self.ready.is_empty() {
            if let Some(end) = state.end.take() {
                state.end = Some(Ok(()));
                return Poll::Ready(Some(end));
            }
            state.reader = Some(cx.waker().clone());
        }
        let parked = state.parked.take();
        drop(state);
        if let Some(walker) = parked {
            if let Err(error) = enqueue(&self.pool, &self.shared, walker) {
                return Poll::Ready(Some(Err(error)));
            }
        }
        match self.ready.is_empty() {
            true => Poll::Pending,
            false => Poll::Ready(None),
        }
    }

    /// Tells when the kernel began to work on it.
    pub(crate) fn begun(&self) -> Begun {
        self.begun.clone()
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_dropped = true;
        let parked = state.parked.take();
        drop(state);
        drop(parked);
    }
}

#[cfg(test)]
impl Walk {
    /// A walk that returns these datagrams and ends.
    pub(crate) fn of(datagrams: Vec<Result<Vec<u8>>>) -> Self {
        let mut state = State {
            end: Some(Ok(())),
            ..State::default()
        };
        for datagram in datagrams {
            match datagram {
                Ok(datagram) => state.ready.push_back(BytesMut::from(&datagram[..])),
                Err(error) => state.end = Some(Err(error)),
            }
        }
        let shared = Shared {
            state: Mutex::new(state),
            timeout: Duration::ZERO,
            begun: Begun::default(),
        };
        Self::reader(&Pool::new(), Arc::new(shared))
    }
}

/// Queues the walk for a thread of the pool.
fn enqueue(pool: &Pool, shared: &Arc<Shared>, walker: Walker) -> Result<()> {
    let (theirs, again) = (Arc::clone(shared), pool.downgrade());
    pool.run(move || {
        let Some(walker) = theirs.walk(walker) else {
            return;
        };
        // Queue it behind the waiting walks. If the pool is gone, so is the reader.
        if let Some(pool) = again.upgrade() {
            if let Err(error) = enqueue(&pool, &theirs, walker) {
                theirs.end(Err(error));
            }
        }
    })
}

impl Shared {
    /// Ignores poisoning, because a panic leaves no change half made.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Continues the walk until it ends, until enough datagrams wait for the reader, or until other
    /// walks should get their turn. In the last case it returns the walk, to be queued again.
    fn walk(&self, walker: Walker) -> Option<Walker> {
        let (socket, mut is_first) = match walker {
            Walker::Begun(socket) => (socket, false),
            Walker::ToBegin(namespace, request) => {
                if self.lock().is_dropped {
                    return None;
                }
                self.begun.set();
                match begin(&namespace, request, self.timeout) {
                    Ok(socket) => (socket, true),
                    Err(error) => return self.end(Err(error)),
                }
            }
        };
        for _ in 0..IN_A_ROW {
            let mut state = self.lock();
            if state.is_dropped {
                return None;
            }
            let mut datagram = state.free.pop().unwrap_or_default();
            drop(state);
            let is_last = match receive(&socket, &mut datagram) {
                Ok(None) => continue,
                Ok(Some(is_last)) => is_last,
                Err(error) => return self.end(Err(error)),
            };
            let mut state = self.lock();
            state.ready.push_back(datagram);
            let waiting = state.ready.len();
            let is_full = waiting >= AHEAD;
            let reader = match is_last || waiting >= TOGETHER || is_first {
                true => state.reader.take(),
                false => None,
            };
            if is_last || is_full {
                match is_last {
                    true => state.end = Some(Ok(())),
                    false => state.parked = Some(Walker::Begun(socket)),
                }
                drop(state);
                wake(reader);
                return None;
            }
            drop(state);
            wake(reader);
            is_first = false;
        }
        Some(Walker::Begun(socket))
    }

    fn end(&self, end: Result<()>) -> Option<Walker> {
        let mut state = self.lock();
        state.end = Some(end);
        let reader = state.reader.take();
        drop(state);
        wake(reader);
        None
    }
}

/// Called without the lock, because a waker may do anything.
fn wake(reader: Option<Waker>) {
    if let Some(reader) = reader {
        reader.wake();
    }
}

/// Begins a dump in such a way that the kernel does not walk inside our `send`. There it would hold
/// the lock that every ctnetlink request of the host needs.
///
/// For that, the receive queue is as small as possible, and already contains an answer. The kernel
/// finds no room for the first datagram, reports that, and walks later, inside `recv`. Older
/// kernels walk inside `send` anyway, and nothing is lost.
fn begin(namespace: &Namespace, request: Request, timeout: Duration) -> Result<Socket> {
    let socket = namespace.socket()?;
    socket.set_timeout(timeout)?;
    let queue = socket.receive_queue()?;
    socket.set_receive_queue(0)?;
    let mut datagram = noop_request();
    datagram.extend(request.finish(SEQ));
    let sent = socket.send(&datagram);
    // The kernel doubles the number that it is given.
    socket.set_receive_queue(queue / 2)?;
    sent.map_err(Error::sending)?;
    Ok(socket)
}

/// A request that asks for nothing but an ACK: only a header.
fn noop_request() -> Vec<u8> {
    const LEN: u32 = 16;
    let mut message = Vec::with_capacity(LEN as usize + 64);
    message.extend(LEN.to_ne_bytes());
    message.extend(IPCTNL_MSG_CT_GET.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
    message.extend(NOOP_SEQ.to_ne_bytes());
    message.extend([0; 4]);
    message
}

/// Receives a datagram. The result is `None` if it contains nothing for the reader, else whether it
/// has the last message of the dump. The kernel sends that message in its own datagram, but does
/// not promise to.
fn receive(socket: &Socket, datagram: &mut BytesMut) -> Result<Option<bool>> {
    match socket.receive(datagram) {
        Ok(()) => {}
        // The queue had no room even for the kernel's report that there was no room.
        Err(cause) if cause.raw_os_error() == Some(ENOBUFS) => return Ok(None),
        Err(cause) if cause.kind() == io::ErrorKind::Interrupted => return Ok(None),
        Err(cause) => return Err(unreceived(cause)),
    }
    let (mut tells, mut is_last, mut read) = (false, false, 0);
    for frame in Frame::all(datagram) {
        read += frame.stride();
        match frame.verdict() {
            // Without the right, the kernel answers only the first message.
            Some(verdict) if frame.seq == NOOP_SEQ => Error::check(verdict)?,
            Some(_) if frame.seq == SEQ && !is_deferral(&frame) => (tells, is_last) = (true, true),
            Some(_) => {}
            None => tells = true,
        }
    }
    // A datagram with a bad length goes to the reader, which reports the error.
    let is_damaged = read < datagram.len();
    Ok((tells || is_damaged).then_some(is_last))
}

/// Is this the kernel's report that it will walk later?
pub(crate) fn is_deferral(frame: &Frame<'_>) -> bool {
    frame.kind == NLMSG_ERROR
        && frame
            .verdict()
            .is_some_and(|verdict| verdict.errno == ENOBUFS)
}
