//! Many requests in one send.

use super::{NLMSGHDR, Request};
use crate::wire::uapi::NLM_F_ACK;

/// Requests that leave together: the kernel takes them one after the other, and an error of one
/// does not stop those behind it.
#[derive(Debug, Default)]
pub(crate) struct Datagram {
    bytes: Vec<u8>,
    /// Where each request begins.
    starts: Vec<usize>,
}

impl Datagram {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.starts.clear();
    }

    /// Appends a request. Its length is a multiple of 4, as that of all attributes is: the next
    /// may follow at once.
    pub(crate) fn push(&mut self, request: Request) {
        self.starts.push(self.bytes.len());
        self.bytes.extend_from_slice(&request.finish(0));
    }

    /// The number of requests.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Numbers the requests from `first` on: the bytes to send. The last alone is to be
    /// acknowledged: the others are silent where they succeed.
    pub(crate) fn finish(&mut self, first: u32) -> &[u8] {
        let last = self.starts.len().saturating_sub(1);
        for (index, (start, seq)) in self.starts.iter().zip(first..).enumerate() {
            // Whole headers: a request is never shorter.
            let header = &mut self.bytes[*start..*start + NLMSGHDR];
            header[8..12].copy_from_slice(&seq.to_ne_bytes());
            let flags = u16::from_ne_bytes([header[6], header[7]]);
            let flags = match index == last {
                true => flags | NLM_F_ACK,
                false => flags & !NLM_F_ACK,
            };
            header[6..8].copy_from_slice(&flags.to_ne_bytes());
        }
        &self.bytes
    }
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;
    use crate::wire::golden::assert_bytes;
    use crate::wire::uapi::{AF_INET, CTA_MARK, IPCTNL_MSG_CT_NEW};

    #[test]
    fn numbered_and_the_last_alone_acknowledged() {
        let mut datagram = Datagram::default();
        for _ in 0..2 {
            datagram.clear();
            for mark in 0..3_u32 {
                let request = Request::new(IPCTNL_MSG_CT_NEW, 0, AF_INET);
                datagram.push(request.with(|w| w.put(CTA_MARK, &mark)));
            }
        }
        assert_eq!(datagram.len(), 3);
        assert_bytes(
            datagram.finish(7),
            "1c000000 0001 0100 07000000 00000000  02 00 0000  0800 0800 00000000
             1c000000 0001 0100 08000000 00000000  02 00 0000  0800 0800 00000001
             1c000000 0001 0500 09000000 00000000  02 00 0000  0800 0800 00000002",
        );
    }
}
