//! How many requests fit into one datagram: both queues of the socket must have room.

use super::socket::Socket;
use crate::error::Result;

/// The maximum number of requests in a datagram. More do not make the kernel faster.
pub(crate) const MOST: usize = 64;

/// The bytes that a verdict takes in the receive queue: 832 were seen on Linux 6.18.
const VERDICT: usize = 896;

/// The bytes that a flow takes in the receive queue: usually 1280, and twice that with all
/// attributes.
const DATA: usize = 2304;

/// The capacity of a socket's queues, and how much of it the requests so far need.
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

    /// Is there room for this many requests of these bytes together, whatever they are?
    pub(super) fn admits_any(&self, requests: usize, bytes: usize) -> bool {
        requests <= MOST && requests * (VERDICT + DATA) <= self.receive && bytes <= self.send
    }

    /// Is there room for one more request? The first is always admitted, because the kernel puts
    /// one answer into an empty queue whatever its size.
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

    /// It must never admit what [`Window::admits`] refuses.
    #[test]
    fn any_requests_are_as_large_as_the_largest() {
        for (receive, send) in [(212_992, 212_960), (4096, 212_960), (212_992, 300), (0, 0)] {
            let window = Window::new(receive, send);
            let gets = admitted(IPCTNL_MSG_CT_GET, receive, send);
            let largest = (0..1000).take_while(|count| window.admits_any(*count, count * 28));
            assert!(largest.count() <= gets + 1, "{receive} {send}");
        }
        assert!(Window::new(212_992, 212_960).admits_any(MOST, 10_000));
    }

    #[test]
    fn both_queues_have_room_for_it() {
        let (mark, get) = (IPCTNL_MSG_CT_NEW, IPCTNL_MSG_CT_GET);
        // The default queue sizes.
        assert_eq!(admitted(mark, 212_992, 212_960), MOST);
        assert_eq!(admitted(get, 212_992, 212_960), MOST);
        // Small queues.
        assert_eq!(admitted(mark, 4096, 212_960), 4);
        assert_eq!(admitted(get, 4096, 212_960), 1);
        assert_eq!(admitted(mark, 212_992, 300), 10);
        // The first is always admitted.
        assert_eq!(admitted(get, 0, 0), 1);
    }
}
