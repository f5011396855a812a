//! Puts a line together from its pieces.

use std::fmt::{self, Write};
use std::net::IpAddr;

use super::address::Address;

/// A buffer in front of a formatter. The pieces of a line are short, and a formatter takes longer
/// for each of them than for the whole line.
pub(super) struct Line<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    bytes: [u8; SIZE],
    len: usize,
}

/// Most lines of flows are shorter.
const SIZE: usize = 256;

impl<'a, 'b> Line<'a, 'b> {
    /// Writes the pieces to `out`, as one piece if they fit into the buffer.
    pub(super) fn write(
        out: &'a mut fmt::Formatter<'b>,
        pieces: impl FnOnce(&mut Self) -> fmt::Result,
    ) -> fmt::Result {
        let mut line = Self {
            out,
            bytes: [0; SIZE],
            len: 0,
        };
        pieces(&mut line)?;
        line.flush()
    }

    pub(super) fn number(&mut self, number: impl Into<u64>) -> fmt::Result {
        let mut left = number.into();
        let len = left.checked_ilog10().map_or(1, |log| log as usize + 1);
        if self.len + len > SIZE {
            self.flush()?;
        }
        let Some(room) = self.bytes.get_mut(self.len..self.len + len) else {
            return Err(fmt::Error);
        };
        for digit in room.iter_mut().rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
        }
        self.len += len;
        Ok(())
    }

    pub(super) fn address(&mut self, address: IpAddr) -> fmt::Result {
        let IpAddr::V4(address) = address else {
            return write!(self, "{}", Address(address));
        };
        // One piece, written from its end: most of a flow's line is addresses.
        let mut text = [0; "255.255.255.255".len()];
        let mut at = text.len();
        let mut before = |byte| {
            at -= 1;
            text[at] = byte;
        };
        for (index, octet) in address.octets().into_iter().enumerate().rev() {
            before(b'0' + octet % 10);
            if octet >= 10 {
                before(b'0' + octet / 10 % 10);
            }
            if octet >= 100 {
                before(b'0' + octet / 100);
            }
            if index > 0 {
                before(b'.');
            }
        }
        self.push(&text[at..])
    }

    /// Takes whole strings only, so that the buffer is always text. Inlined, because the length of
    /// most pieces is known then.
    #[inline(always)]
    fn push(&mut self, piece: &[u8]) -> fmt::Result {
        if self.len + piece.len() > SIZE {
            self.flush()?;
        }
        match self.bytes.get_mut(self.len..self.len + piece.len()) {
            Some(room) => {
                room.copy_from_slice(piece);
                self.len += piece.len();
                Ok(())
            }
            None => self.out.write_str(text(piece)?),
        }
    }

    #[inline(never)]
    fn flush(&mut self) -> fmt::Result {
        let len = std::mem::take(&mut self.len);
        self.out.write_str(text(&self.bytes[..len])?)
    }
}

impl fmt::Write for Line<'_, '_> {
    #[inline(always)]
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        self.push(piece.as_bytes())
    }
}

fn text(bytes: &[u8]) -> Result<&str, fmt::Error> {
    std::str::from_utf8(bytes).map_err(|_| fmt::Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces that are text, and numbers.
    struct Pieces(Vec<Result<&'static str, u64>>);

    impl fmt::Display for Pieces {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            Line::write(f, |line| {
                self.0.iter().try_for_each(|piece| match piece {
                    Ok(text) => line.write_str(text),
                    Err(number) => line.number(*number),
                })
            })
        }
    }

    #[test]
    fn pieces_of_any_length_follow_each_other() {
        let numbers = [0, 7, 10, 255, 65_535, u64::from(u32::MAX), u64::MAX];
        for (number, piece) in numbers.into_iter().zip(["", "ä", "word "].iter().cycle()) {
            let long: &str = Box::leak(piece.repeat(150).into_boxed_str());
            for times in [1, 100] {
                let some = [Err(number), Ok(*piece), Ok(long), Ok(*piece)];
                let pieces = Pieces(some.into_iter().cycle().take(4 * times).collect());
                let expected = format!("{number}{piece}{long}{piece}").repeat(times);
                assert_eq!(pieces.to_string(), expected);
            }
        }
    }

    #[test]
    fn addresses_of_both_families() {
        struct Shown(IpAddr);
        impl fmt::Display for Shown {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Line::write(f, |line| line.address(self.0))
            }
        }
        for text in [
            "0.0.0.0",
            "9.10.99.100",
            "10.20.3.255",
            "101.110.200.250",
            "255.255.255.255",
            "2001:db8::1",
            "::1.2.3.4",
        ] {
            assert_eq!(Shown(text.parse().unwrap()).to_string(), text);
        }
    }
}
