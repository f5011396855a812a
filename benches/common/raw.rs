//! A bare netlink socket.

use netlink_sys::{Socket, SocketAddr};

use super::message::{self, Message};

const NETLINK_NETFILTER: isize = 12;
const RECEIVE: usize = 32 * 1024;

/// The number of messages in one send.
pub const BATCH: usize = 64;

/// A blocking socket with a buffer.
pub struct Raw {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Raw {
    /// Opens a socket in the network namespace of this thread.
    pub fn open() -> Self {
        let mut socket = Socket::new(NETLINK_NETFILTER).expect("a netlink socket");
        socket.bind_auto().expect("an address");
        // Long error messages would fill the receive queue.
        socket.set_cap_ack(true).expect("short ACKs");
        Self {
            socket,
            buffer: Vec::with_capacity(RECEIVE),
        }
    }

    pub fn send(&self, datagram: &[u8]) {
        let kernel = SocketAddr::new(0, 0);
        let sent = self.socket.send_to(datagram, &kernel, 0).expect("a send");
        assert_eq!(sent, datagram.len());
    }

    pub fn receive(&mut self) -> &[u8] {
        self.buffer.clear();
        self.socket
            .recv(&mut self.buffer, 0)
            .expect("an answer of the kernel");
        &self.buffer
    }

    /// Receives until the ACK for the request with this number.
    ///
    /// # Panics
    ///
    /// Panics if the kernel refuses this or an earlier request.
    pub fn acknowledged(&mut self, seq: u32) {
        self.answered(seq, |seq, errno| panic!("errno of request {seq}: {errno}"));
    }

    /// Receives until the request with this number is acknowledged or refused. Passes on the number
    /// and errno of each refused request.
    pub fn answered(&mut self, seq: u32, mut refused: impl FnMut(u32, i32)) {
        let mut done = false;
        while !done {
            for message in message::messages(self.receive()) {
                assert_eq!(message.kind, message::ERROR);
                if message.errno() != 0 {
                    refused(message.seq, message.errno());
                }
                done |= message.seq == seq;
            }
        }
    }

    /// Removes all flows.
    pub fn flush(&mut self) {
        let mut request = Vec::new();
        drop(Message::new(
            &mut request,
            message::DELETE,
            message::ACK,
            1,
            0,
        ));
        self.send(&request);
        self.acknowledged(1);
    }

    /// Dumps the flows that match the filter attributes that `filter` writes. Passes on each
    /// datagram except the last, which has no flow.
    pub fn dump(&mut self, filter: impl FnOnce(&mut Message<'_>), mut datagram: impl FnMut(&[u8])) {
        let mut request = Vec::new();
        let mut message = Message::new(&mut request, message::GET, message::DUMP, 1, 0);
        filter(&mut message);
        drop(message);
        self.send(&request);
        loop {
            let received = self.receive();
            let first = message::messages(received).next().expect("a message");
            match first.kind {
                message::DONE => return,
                message::ERROR => panic!("the dump was refused: errno {}", first.errno()),
                _ => datagram(received),
            }
        }
    }
}
