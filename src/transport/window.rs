//! How many requests one datagram may carry: as many as both queues of its socket have room for.

use super::socket::Socket;
use crate::error::Result;

/// Requests in a datagram, at the most: with more the kernel is no faster.
pub(crate) const MOST: usize = 64;

/// What a verdict takes of the receive queue: 832 bytes, seen on Linux 6.18.
const VERDICT: usize = 896;

/// What a flow takes of it: 1280 bytes as a rule, and twice that with all attributes.
const DATA: usize = 2304;

/// The room of a socket's queues, and what the requests so far take of it.
#[derive(Debug)]
pub(super) struct Window {
    receive: usize,
    send: usize,
    requests: usize,
    answers: usize,
    bytes: usize,
}

impl Window {
    pub(super) fn of(socket: &Socket) -> Result<Self> {
        Ok(Self::new(socket.receive_queue()?, socket.send_queue()?))
    }

    fn new(receive: usize, send: usize) -> Self {
        Self {
            receive,
            send,
            requests: 0,
            answers: 0,
            bytes: 0,
        }
    }

    /// Begins with an empty datagram.
    pub(super) fn clear(&mut self) {
        (self.requests, self.answers, self.bytes) = (0, 0, 0);
    }

    /// Is there room for this one too? The first always goes: the kernel takes one answer into a
    /// queue that has none, whatever its size.
    pub(super) fn admits(&mut self, expects_data: bool, len: usize) -> bool {
        let data = if expects_data { DATA } else { 0 };
        let answers = self.answers + VERDICT + data;
        let bytes = self.bytes + len;
        let has_room = self.requests < MOST && answers <= self.receive && bytes <= self.send;
        if self.requests > 0 && !has_room {
            return false;
        }
        self.requests += 1;
        (self.answers, self.bytes) = (answers, bytes);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::Request;
    use crate::wire::uapi::{AF_INET, CTA_MARK, IPCTNL_MSG_CT_GET, IPCTNL_MSG_CT_NEW};

    fn admitted(kind: u16, receive: usize, send: usize) -> usize {
        let mut window = Window::new(receive, send);
        let request = Request::new(kind, 0, AF_INET).with(|w| w.put(CTA_MARK, &7_u32));
        let admits = |_: &u32| window.admits(request.expects_data(), request.len());
        (0..1000).take_while(admits).count()
    }

    #[test]
    fn both_queues_have_room_for_it() {
        let (mark, get) = (IPCTNL_MSG_CT_NEW, IPCTNL_MSG_CT_GET);
        // The usual queues.
        assert_eq!(admitted(mark, 212_992, 212_960), MOST);
        assert_eq!(admitted(get, 212_992, 212_960), MOST);
        // Small ones.
        assert_eq!(admitted(mark, 4096, 212_960), 4);
        assert_eq!(admitted(get, 4096, 212_960), 1);
        assert_eq!(admitted(mark, 212_992, 300), 10);
        // One always goes.
        assert_eq!(admitted(get, 0, 0), 1);
    }
}
