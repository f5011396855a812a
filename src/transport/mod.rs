//! Lanes: they move datagrams between the wire and the kernel.
//!
//! | lane | carries | because |
//! |---|---|---|
//! | [`control`] | requests that name one object | microseconds each: one task multiplexes them |
//! | [`bulk`] | many requests that name one object each | 64 a send and one ACK for all; a thread of their own takes no time from others |
//! | [`listen`] | events | they do not wait for us: a socket of its own for each reader, who alone reads it |
//! | [`walk`] | list and flush | the kernel walks the table inside our `send` and `recv`, non-blocking or not: each walk has a thread and a socket of its own |
//!
//! A socket belongs for ever to the network namespace of the thread that opened it; [`netns`]
//! opens each in the namespace that the connection was made for.

pub(crate) mod bulk;
pub(crate) mod control;
pub(crate) mod listen;
pub(crate) mod netns;
mod proto;
pub(crate) mod release;
pub(crate) mod socket;
mod turn;
pub(crate) mod walk;
mod watched;

use std::time::Duration;

use crate::error::Result;
use crate::wire::message::Request;
use bulk::{Bulk, Caller, Job};
use control::Client;
use listen::{Listen, Listener};
use netns::Namespace;
use release::Release;
use walk::Walk;

/// What a handle holds: the way to each lane. The control connection ends when the last is gone.
#[derive(Debug)]
pub(crate) struct Lanes {
    pub(crate) control: Client,
    pub(crate) namespace: Namespace,
    pub(crate) release: Release,
    pub(crate) timeout: Duration,
    /// The size of receive queue that was asked for.
    pub(crate) receive_buffer: Option<usize>,
}

impl Lanes {
    /// Starts a walk of the table.
    pub(crate) fn walk(&self, request: Request) -> Result<Walk> {
        self.control.check_open()?;
        Walk::start(self.namespace.clone(), request, self.timeout)
    }

    /// Starts to listen.
    pub(crate) fn listen(&self, listen: &Listen) -> Result<Listener> {
        self.control.check_open()?;
        Listener::new(self.namespace.socket()?, listen)
    }

    /// Starts work on a thread and a socket of its own.
    pub(crate) fn bulk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Bulk, &mut Caller) -> T + Send + 'static,
    ) -> Result<Job<T>> {
        self.control.check_open()?;
        Job::start(self.namespace.clone(), self.receive_buffer, work)
    }
}

#[cfg(test)]
impl Lanes {
    /// Lanes that lead nowhere.
    pub(crate) fn of_nobody() -> Self {
        Self {
            control: Client::of_nobody(),
            namespace: Namespace::current().expect("this thread's namespace").0,
            release: Release(6, 18),
            timeout: Duration::from_secs(1),
            receive_buffer: None,
        }
    }
}
