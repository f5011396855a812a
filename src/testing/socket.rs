//! One socket on a fake kernel.

use std::io;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use super::faults::RequestFault;
use super::kernel::Kernel;
use super::port::Port;
use crate::wire::bpf::Instruction;
use crate::wire::uapi::*;

/// The usual size of receive buffers, which limits the datagrams of a dump.
const BUFFER: usize = 32 * 1024;

/// A socket of a [`Kernel`], as `NETLINK_NETFILTER` gives it: [`Kernel::socket`]. Dropping it closes
/// it.
///
/// Errors and acknowledgments come without the request (`NETLINK_CAP_ACK`), and with the kernel's
/// message if there is one (`NETLINK_EXT_ACK`).
#[derive(Debug)]
pub struct FakeSocket {
    kernel: Kernel,
    port: u32,
}

impl FakeSocket {
    pub(crate) fn open(kernel: &Kernel) -> Self {
        let port = kernel.with(|machine| {
            // Like the kernel, never assign a number twice, and never 0.
            machine.last_port += 1;
            let mut port = Port::default();
            port.options.cap_ack = true;
            port.options.ext_ack = true;
            machine.ports.insert(machine.last_port, port);
            machine.last_port
        });
        Self {
            kernel: kernel.clone(),
            port,
        }
    }

    /// Calls `work` with the kernel's side of the socket.
    fn with<T>(&self, work: impl FnOnce(&mut Port) -> T) -> T {
        self.kernel.with(|machine| {
            // It exists as long as the socket.
            work(machine.ports.entry(self.port).or_default())
        })
    }

    /// Sends a datagram of requests. The kernel has carried them out when this returns.
    ///
    /// # Errors
    ///
    /// `EMSGSIZE` if it is longer than the send queue, and the faults of [`Kernel::on_request`].
    pub fn send(&self, datagram: &[u8]) -> io::Result<()> {
        let failed = |errno| Err(io::Error::from_raw_os_error(errno));
        if datagram.len() > self.with(|port| port.send_room()) {
            return failed(EMSGSIZE);
        }
        let fault = self.kernel.with(|machine| machine.faults.of_request());
        match fault {
            Some(RequestFault::Interrupted) => return failed(EINTR),
            Some(RequestFault::TooLong) => return failed(EMSGSIZE),
            Some(RequestFault::NoMemory) => return failed(ENOBUFS),
            Some(RequestFault::Stuck) => return Ok(()),
            Some(RequestFault::Delay(time)) => thread::sleep(time),
            _ => {}
        }
        self.kernel.with(|machine| {
            if fault == Some(RequestFault::Overrun) {
                self.overrun(machine);
            }
            machine.faults.mute = fault == Some(RequestFault::AnswersLost);
            machine.receive(self.port, datagram);
            machine.faults.mute = false;
        });
        Ok(())
    }

    fn overrun(&self, machine: &mut super::machine::Machine) {
        if let Some(port) = machine.ports.get_mut(&self.port) {
            port.overrun();
        }
    }

    /// Waits for a datagram, as long as [`set_timeout`](Self::set_timeout) allows.
    pub(crate) fn receive(&self) -> io::Result<Vec<u8>> {
        let timeout = self.with(|port| port.timeout);
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            match self.receive_now() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                received => return received,
            }
            let readable = |machine: &super::machine::Machine| {
                machine.ports.get(&self.port).is_none_or(Port::is_readable)
            };
            if !self.kernel.wait(deadline, readable) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
    }

    /// Receives a datagram, without waiting for one.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none, and `ENOBUFS` once after
    /// datagrams were lost because the queue was full.
    pub fn receive_now(&self) -> io::Result<Vec<u8>> {
        self.kernel.with(|machine| {
            let Some(port) = machine.ports.get_mut(&self.port) else {
                return Err(io::ErrorKind::WouldBlock.into());
            };
            port.largest = BUFFER;
            let Some(received) = port.pop() else {
                return Err(io::ErrorKind::WouldBlock.into());
            };
            let goes_on = port.dump.is_some() && port.used <= port.room / 2;
            let received = received.map_err(io::Error::from_raw_os_error)?;
            if goes_on {
                // If there is no room, the dump waits for the next receive.
                let _ = machine.step_dump(self.port);
            }
            Ok(received)
        })
    }

    /// Ready if a receive would not have to wait.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.with(|port| {
            if port.is_readable() {
                return Poll::Ready(());
            }
            if !port.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                port.wakers.push(cx.waker().clone());
            }
            Poll::Pending
        })
    }

    pub(crate) fn set_timeout(&self, timeout: Duration) {
        self.with(|port| port.timeout = Some(timeout));
    }

    pub(crate) fn set_receive_queue(&self, bytes: usize) {
        self.with(|port| port.set_room(bytes));
    }

    /// Sets the size without the limit of the system.
    pub(crate) fn force_receive_queue(&self, bytes: usize) {
        self.with(|port| port.room = bytes.saturating_mul(2));
    }

    /// Is the next receive a datagram, and not an error?
    pub(crate) fn has_datagram(&self) -> bool {
        self.with(|port| port.has_datagram())
    }

    pub(crate) fn receive_queue(&self) -> usize {
        self.with(|port| port.room)
    }

    pub(crate) fn send_queue(&self) -> usize {
        self.with(|port| port.send_room())
    }

    /// The bytes in the receive queue.
    pub(crate) fn backlog(&self) -> usize {
        self.with(|port| port.used)
    }

    /// The number of datagrams that were lost because the queue was full, since the socket was
    /// opened.
    pub(crate) fn drops(&self) -> u64 {
        self.with(|port| port.drops)
    }

    /// Joins a multicast group, by its number (`NFNLGRP_CONNTRACK_NEW` is 1).
    ///
    /// # Errors
    ///
    /// `EPERM` if the right has been taken away.
    pub fn join_group(&self, group: u32) -> io::Result<()> {
        self.check_right()?;
        self.with(|port| port.groups |= bit(group));
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn leave_group(&self, group: u32) {
        self.with(|port| port.groups &= !bit(group));
    }

    /// `SO_ATTACH_FILTER`: events that the program does not let pass are not queued, and not
    /// counted as lost.
    pub(crate) fn attach(&self, program: &[Instruction]) {
        self.with(|port| port.program = Some(program.to_vec()));
    }

    /// `NETLINK_BROADCAST_ERROR`: the kernel repeats events that had no room.
    pub(crate) fn set_broadcast_error(&self, on: bool) {
        self.with(|port| port.options.broadcast_error = on);
    }

    /// `NETLINK_NO_ENOBUFS`: no error is reported for events that had no room.
    pub(crate) fn set_no_enobufs(&self, on: bool) {
        self.with(|port| port.options.no_enobufs = on);
    }

    /// `NETLINK_CAP_ACK`: errors come without the request's payload. On from the start.
    #[cfg(test)]
    pub(crate) fn set_cap_ack(&self, on: bool) {
        self.with(|port| port.options.cap_ack = on);
    }

    /// Fails with `EPERM` if the right has been taken away.
    pub(crate) fn check_right(&self) -> io::Result<()> {
        match self.kernel.with(|machine| machine.faults.is_denied()) {
            true => Err(io::Error::from_raw_os_error(EPERM)),
            false => Ok(()),
        }
    }
}

impl Drop for FakeSocket {
    fn drop(&mut self) {
        self.kernel.with(|machine| machine.ports.remove(&self.port));
    }
}

fn bit(group: u32) -> u32 {
    1_u32.checked_shl(group.wrapping_sub(1)).unwrap_or(0)
}

const EINTR: i32 = 4;
