//! Many requests in one send.

use std::ops::Range;

use super::{NLMSGHDR, expects_data};
use crate::wire::uapi::NLM_F_ACK;

/// Requests that are sent together. The kernel handles them one after the other, and an error of
/// one does not stop the later ones.
#[derive(Debug, Default)]
pub(crate) struct Datagram {
    bytes: Vec<u8>,
    /// The offset of each request.
    starts: Vec<usize>,
    /// The first sequence number, and the number of requests, after all of them were numbered.
    numbered: Option<(u32, usize)>,
}

/// The sequence number after this one. It is never 0, because events have 0.
pub(crate) fn next_seq(seq: u32) -> u32 {
    match seq > u32::MAX / 2 {
        true => 1,
        false => seq + 1,
    }
}

impl Datagram {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.starts.clear();
        self.numbered = None;
    }

    /// Appends a request with `write`, which must call [`Request::write`](super::Request::write).
    /// All lengths are multiples of 4, so the next request needs no padding.
    #[inline]
    pub(crate) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.starts.push(self.bytes.len());
        write(&mut self.bytes);
    }

    /// The number of requests.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The number of requests from this index on, and of their bytes.
    pub(crate) fn size(&self, from: usize) -> (usize, usize) {
        let count = self.len() - from;
        (count, self.range(from, count).len())
    }

    /// The requests from this index on: their lengths, and whether the kernel answers with data.
    pub(crate) fn from(&self, from: usize) -> impl Iterator<Item = (bool, usize)> {
        (from..self.len()).map(|index| {
            let bytes = &self.bytes[self.range(index, 1)];
            let kind = u16::from_ne_bytes([bytes[4], bytes[5]]);
            (expects_data(kind), bytes.len())
        })
    }

    /// The bytes of this many requests from this index on.
    fn range(&self, from: usize, count: usize) -> Range<usize> {
        let end = self.starts.get(from + count).copied();
        self.starts[from]..end.unwrap_or(self.bytes.len())
    }

    /// Numbers all requests, starting with sequence number `first`, and returns the number for the
    /// request after them.
    pub(crate) fn number(&mut self, first: u32) -> u32 {
        let count = self.len();
        self.number_some(0, count, first);
        self.numbered = Some((first, count));
        next_seq(first + count as u32 - 1)
    }

    /// Numbers `count` requests from index `from` on, starting with sequence number `first`, and
    /// returns the bytes to send. Only the last request asks for an ACK.
    pub(crate) fn finish(&mut self, from: usize, count: usize, first: u32) -> &[u8] {
        let is_numbered = self.numbered == Some((first, count));
        if !is_numbered || count != self.len() {
            self.numbered = None;
            self.number_some(from, count, first);
        }
        &self.bytes[self.range(from, count)]
    }

    fn number_some(&mut self, from: usize, count: usize, first: u32) {
        let starts = &self.starts[from..from + count];
        for (index, (start, seq)) in starts.iter().zip(first..).enumerate() {
            // A request is never shorter than its headers.
            let header = &mut self.bytes[*start..*start + NLMSGHDR];
            header[8..12].copy_from_slice(&seq.to_ne_bytes());
            let flags = u16::from_ne_bytes([header[6], header[7]]);
            let flags = match index + 1 == count {
                true => flags | NLM_F_ACK,
                false => flags & !NLM_F_ACK,
            };
            header[6..8].copy_from_slice(&flags.to_ne_bytes());
        }
    }
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;
    use crate::wire::attr::Writer;
    use crate::wire::golden::assert_bytes;
    use crate::wire::message::Request;
    use crate::wire::uapi::{AF_INET, CTA_MARK, IPCTNL_MSG_CT_NEW};

    /// Three requests.
    fn three() -> Datagram {
        let mut datagram = Datagram::default();
        (0..3).for_each(|mark| push(&mut datagram, mark));
        datagram
    }

    fn push(datagram: &mut Datagram, mark: u32) {
        datagram.push(|bytes| {
            let fill = |w: &mut Writer<'_>| w.put(CTA_MARK, &mark);
            Request::write(bytes, IPCTNL_MSG_CT_NEW, 0, AF_INET, fill);
        });
    }

    const FROM_7: &str = "1c000000 0001 0100 07000000 00000000  02 00 0000  0800 0800 00000000
                          1c000000 0001 0100 08000000 00000000  02 00 0000  0800 0800 00000001
                          1c000000 0001 0500 09000000 00000000  02 00 0000  0800 0800 00000002";

    #[test]
    fn numbered_and_the_last_alone_acknowledged() {
        let mut datagram = three();
        assert_eq!(datagram.len(), 3);
        assert_bytes(datagram.finish(0, 3, 7), FROM_7);
        // A part of the datagram.
        assert_bytes(
            datagram.finish(1, 1, 9),
            "1c000000 0001 0500 09000000 00000000  02 00 0000  0800 0800 00000001",
        );
    }

    /// Numbers that were given before the send are kept only if they are right.
    #[test]
    fn numbered_ahead() {
        let mut datagram = three();
        assert_eq!(datagram.number(7), 10);
        assert_bytes(datagram.finish(0, 3, 7), FROM_7);
        // All of it, with other numbers, and again with the first ones.
        assert_bytes(&datagram.finish(0, 3, 11)[36..40], "0c000000");
        assert_bytes(datagram.finish(0, 3, 7), FROM_7);
        // A part of it changes what asks for an ACK.
        datagram.number(7);
        assert_bytes(&datagram.finish(0, 1, 7)[4..12], "0001 0500 07000000");
        assert_bytes(datagram.finish(0, 3, 7), FROM_7);
        // One more request.
        datagram.number(7);
        push(&mut datagram, 3);
        assert_bytes(&datagram.finish(0, 4, 7)[62..68], "0100 09000000");
        assert_bytes(&datagram.finish(0, 4, 7)[90..96], "0500 0a000000");
        // As many as were numbered, but not the same ones.
        datagram.number(7);
        push(&mut datagram, 4);
        assert_bytes(&datagram.finish(1, 4, 7)[4..12], "0001 0100 07000000");
        // Other requests in the same memory.
        datagram.number(7);
        datagram.clear();
        (0..4).for_each(|mark| push(&mut datagram, mark));
        assert_bytes(&datagram.finish(0, 4, 7)[90..96], "0500 0a000000");
    }

    /// The numbers begin again at 1, where the lane's do.
    #[test]
    fn numbers_do_not_overflow() {
        const LAST: u32 = u32::MAX / 2;
        assert_eq!(next_seq(0), 1);
        assert_eq!(next_seq(LAST), LAST + 1);
        assert_eq!(next_seq(LAST + 1), 1);
        assert_eq!(three().number(LAST - 2), LAST + 1);
        assert_eq!(three().number(LAST - 1), 1);
        assert_eq!(three().number(LAST + 1), 1);
        // None.
        assert_eq!(Datagram::default().number(LAST + 1), LAST + 1);
    }
}
