//! The walk lane: a dump, on a socket of its own and a thread of the [`Pool`].
//!
//! The kernel walks the table inside our `recv`. A thread does that for as long as the reader keeps
//! up; when enough waits for the reader, the socket is put aside, and the thread is free. A dump that
//! nobody reads costs its socket and what waits, and holds up no other.

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

/// The sequence number of the dump, or the flush. Not 0, which events carry.
pub(crate) const SEQ: u32 = 1;

/// The sequence number of what goes before the dump.
const BEFORE: u32 = 2;

/// Datagrams that wait for the reader, at the most. It has as many in its own hands.
const AHEAD: usize = 6;

/// The reader is woken for so many at once: a wake-up takes as long as decoding ten flows.
const TOGETHER: usize = 3;

/// Datagrams in a row before the walks that wait get their turn.
const IN_A_ROW: usize = 16;

/// A walk under way. Dropping it closes the socket: when the kernel hands over the datagram that it
/// is filling, or, where the walk has yet to begin, at once.
#[derive(Debug)]
pub(crate) struct Walk {
    shared: Arc<Shared>,
    pool: Pool,
    /// Taken from what waited.
    ready: VecDeque<BytesMut>,
    /// Read, and free to be filled again.
    spent: Vec<BytesMut>,
    begun: Begun,
}

/// When work began; `None` for as long as it waits for its turn.
#[derive(Debug, Clone, Default)]
pub(crate) struct Begun(Arc<OnceLock<Instant>>);

impl Begun {
    pub(crate) fn get(&self) -> Option<Instant> {
        self.0.get().copied()
    }

    pub(super) fn set(&self) {
        // It begins once.
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
    spent: Vec<BytesMut>,
    reader: Option<Waker>,
    /// Waits for the reader to make room.
    parked: Option<Walker>,
    end: Option<Result<()>>,
    is_unwanted: bool,
}

/// The kernel's side of it.
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
        go_on(pool, &shared, Walker::ToBegin(namespace, request))?;
        Ok(Self::reader(pool, shared))
    }

    fn reader(pool: &Pool, shared: Arc<Shared>) -> Self {
        Self {
            begun: shared.begun.clone(),
            shared,
            pool: pool.clone(),
            ready: VecDeque::new(),
            spent: Vec::new(),
        }
    }

    /// Exchanges a datagram that was read for the next; `None` after the one that has the kernel's
    /// verdict.
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
            let mut spent = std::mem::replace(datagram, next);
            spent.clear();
            self.spent.push(spent);
        }
        Poll::Ready(Some(Ok(())))
    }

    /// Waits for datagrams, or for the end.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<()>>> {
        let mut state = self.shared.lock();
        std::mem::swap(&mut self.ready, &mut state.ready);
        state.spent.append(&mut self.spent);
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
            if let Err(error) = go_on(&self.pool, &self.shared, walker) {
                return Poll::Ready(Some(Err(error)));
            }
        }
        match self.ready.is_empty() {
            true => Poll::Pending,
            false => Poll::Ready(None),
        }
    }

    /// Tells since when the kernel is at it.
    pub(crate) fn begun(&self) -> Begun {
        self.begun.clone()
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_unwanted = true;
        let parked = state.parked.take();
        drop(state);
        drop(parked);
    }
}

#[cfg(test)]
impl Walk {
    /// A walk that hands over these datagrams and is gone.
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

/// Puts the walk in line for a thread.
fn go_on(pool: &Pool, shared: &Arc<Shared>, walker: Walker) -> Result<()> {
    let (theirs, again) = (Arc::clone(shared), pool.downgrade());
    pool.run(move || {
        let Some(walker) = theirs.walk(walker) else {
            return;
        };
        // Behind those that wait. Without the connection nobody is left to read.
        if let Some(pool) = again.upgrade() {
            if let Err(error) = go_on(&pool, &theirs, walker) {
                theirs.end(Err(error));
            }
        }
    })
}

impl Shared {
    /// Nothing here is left half done by a panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Walks on: to the end, until enough waits for the reader, or until others should have their
    /// turn; then this gives back what goes on.
    fn walk(&self, walker: Walker) -> Option<Walker> {
        let (socket, mut is_first) = match walker {
            Walker::Begun(socket) => (socket, false),
            Walker::ToBegin(namespace, request) => {
                if self.lock().is_unwanted {
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
            if state.is_unwanted {
                return None;
            }
            let mut datagram = state.spent.pop().unwrap_or_default();
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

/// Not under the lock: a waker may do anything.
fn wake(reader: Option<Waker>) {
    if let Some(reader) = reader {
        reader.wake();
    }
}

/// Begins a dump without a walk inside our `send`, where the kernel would hold its lock on behalf of
/// every ctnetlink request of the host.
///
/// The receive queue is as small as can be, and has an answer in it already: the kernel finds no room
/// for the first datagram, says so, and walks when it is asked to by `recv`. Older kernels walk
/// in `send` all the same; nothing is lost there.
fn begin(namespace: &Namespace, request: Request, timeout: Duration) -> Result<Socket> {
    let socket = namespace.socket()?;
    socket.set_timeout(timeout)?;
    let queue = socket.receive_queue()?;
    socket.set_receive_queue(0)?;
    let mut datagram = nothing();
    datagram.extend(request.finish(SEQ));
    let sent = socket.send(&datagram);
    // The kernel doubles what it is asked for.
    socket.set_receive_queue(queue / 2)?;
    sent.map_err(Error::sending)?;
    Ok(socket)
}

/// A request for nothing, to be acknowledged: a header alone.
fn nothing() -> Vec<u8> {
    const LEN: u32 = 16;
    let mut message = Vec::with_capacity(LEN as usize + 64);
    message.extend(LEN.to_ne_bytes());
    message.extend(IPCTNL_MSG_CT_GET.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
    message.extend(BEFORE.to_ne_bytes());
    message.extend([0; 4]);
    message
}

/// Receives a datagram: `None` for one that tells the reader nothing, else whether it has the last
/// message of the dump. That comes in a datagram of its own, but nothing promises it.
fn receive(socket: &Socket, datagram: &mut BytesMut) -> Result<Option<bool>> {
    match socket.receive(datagram) {
        Ok(()) => {}
        // The kernel's word that there was no room was itself without room.
        Err(cause) if cause.raw_os_error() == Some(ENOBUFS) => return Ok(None),
        Err(cause) if cause.kind() == io::ErrorKind::Interrupted => return Ok(None),
        Err(cause) => return Err(unreceived(cause)),
    }
    let (mut tells, mut is_last) = (false, false);
    for frame in Frame::all(datagram) {
        match frame.verdict() {
            // Without the right the kernel answers the first message alone.
            Some(verdict) if frame.seq == BEFORE => Error::check(verdict)?,
            Some(_) if frame.seq == SEQ && !is_deferral(&frame) => (tells, is_last) = (true, true),
            Some(_) => {}
            None => tells = true,
        }
    }
    // A length that makes no sense is the reader's to tell.
    let is_damaged = Frame::all(datagram)
        .map(|frame| frame.stride())
        .sum::<usize>()
        < datagram.len();
    Ok((tells || is_damaged).then_some(is_last))
}

/// Does the kernel say that it will walk later?
pub(crate) fn is_deferral(frame: &Frame<'_>) -> bool {
    frame.kind == NLMSG_ERROR
        && frame
            .verdict()
            .is_some_and(|verdict| verdict.errno == ENOBUFS)
}
