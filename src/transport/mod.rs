//! The lanes move datagrams between the wire code and the kernel.
//!
//! | lane | carries | because |
//! |---|---|---|
//! | [`control`] | requests that name one object | microseconds each: one task multiplexes them |
//! | [`bulk`] | many requests that name one object each | 64 a send and one ACK for all; a thread of their own ([`job`]) takes no time from others |
//! | [`walk`] | dumps | the kernel walks the table inside our `recv`, non-blocking or not: each has a socket of its own, and a thread of the [`pool`] while it is read |
//! | [`flush`](mod@flush) | flush | the kernel walks inside our `send`, and holds its lock: a thread of its own, in [`turn`] with the control lanes |
//! | [`listen`] | events | they do not wait for us: a socket of its own for each reader, who alone reads it |
//!
//! A socket always belongs to the network namespace of the thread that opened it. [`netns`] opens
//! each socket in the namespace that the connection was made for.

pub(crate) mod answers;
pub(crate) mod bulk;
pub(crate) mod control;
pub(crate) mod flush;
pub(crate) mod job;
pub(crate) mod listen;
pub(crate) mod netns;
mod pool;
pub(crate) mod queue;
pub(crate) mod release;
pub(crate) mod socket;
pub(crate) mod throttle;
mod turn;
pub(crate) mod walk;
mod watched;
mod window;

use std::time::Duration;

use crate::error::Result;
use crate::wire::message::Request;
use bulk::Bulk;
use control::Client;
use flush::Flush;
use job::{Caller, Job};
use listen::{Listen, Listener};
use netns::Namespace;
pub(crate) use pool::Pool;
use release::Release;
use walk::Walk;

/// The lanes of a connection, which its handles share. The control connection ends when the last
/// handle is dropped.
#[derive(Debug)]
pub(crate) struct Lanes {
    pub(crate) control: Client,
    pub(crate) pool: Pool,
    pub(crate) namespace: Namespace,
    pub(crate) release: Release,
    pub(crate) timeout: Duration,
    /// The size of the receive queue that the caller asked for.
    pub(crate) receive_buffer: Option<usize>,
}

impl Lanes {
    /// Starts a walk of the table.
    pub(crate) fn walk(&self, request: Request) -> Result<Walk> {
        self.control.check_open()?;
        Walk::start(&self.pool, self.namespace.clone(), request, self.timeout)
    }

    /// Starts a flush.
    pub(crate) fn flush(&self, request: Request) -> Result<Flush> {
        self.control.check_open()?;
        Flush::start(&self.pool, self.namespace.clone(), request, self.timeout)
    }

    /// Is a thread busy with work that requests may be waiting for?
    pub(crate) fn are_busy(&self) -> bool {
        turn::is_flushing() || self.pool.is_busy()
    }

    /// Does a request wait to be sent because the connection is not polled?
    pub(crate) fn are_unattended(&self) -> bool {
        self.control.has_unsent() && !turn::is_flushing()
    }

    /// Starts to listen to events.
    pub(crate) fn listen(&self, listen: &Listen) -> Result<Listener> {
        self.control.check_open()?;
        Listener::new(self.namespace.socket()?, listen)
    }

    /// Starts bulk work on its own thread and its own socket.
    pub(crate) fn bulk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Bulk, &mut Caller) -> T + Send + 'static,
    ) -> Result<Job<T>> {
        self.control.check_open()?;
        Job::start(
            &self.pool,
            self.namespace.clone(),
            self.receive_buffer,
            work,
        )
    }
}

#[cfg(test)]
impl Lanes {
    /// Lanes whose connection is never polled.
    pub(crate) fn unconnected() -> Self {
        let (namespace, socket) = Namespace::current().expect("this thread's namespace");
        let (lane, control) = control::open(socket).expect("a lane");
        std::mem::forget(lane);
        Self {
            control,
            pool: Pool::new(),
            namespace,
            release: Release(6, 18),
            timeout: Duration::from_secs(1),
            receive_buffer: None,
        }
    }
}
