//! Uses the bytes of the fuzzer as a script. Each read takes bytes from the front, and an empty
//! script returns zeros.

/// The bytes that are left.
#[derive(Debug, Clone)]
pub(crate) struct Script(std::vec::IntoIter<u8>);

/// The length of a message's header, `nlmsghdr`.
const HEADER: usize = 16;

impl Script {
    pub(crate) fn new(data: &[u8]) -> Self {
        Self(Vec::from(data).into_iter())
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0.next().unwrap_or_default()
    }

    fn number(&mut self) -> usize {
        u16::from_be_bytes([self.byte(), self.byte()]).into()
    }

    /// Takes a length from the next byte, and then this many bytes.
    fn bytes(&mut self) -> Vec<u8> {
        let len = self.byte().into();
        self.0.by_ref().take(len).collect()
    }

    /// Changes a datagram: damages it, or replaces what follows the header that its reader expects.
    pub(crate) fn tamper(&mut self, datagram: &mut Vec<u8>) {
        match self.byte() % 9 {
            1 => {
                let at = self.number() % datagram.len().max(1);
                let with = self.byte();
                if let Some(byte) = datagram.get_mut(at) {
                    *byte ^= with;
                }
            }
            2 => {
                let len = self.number() % (datagram.len() + 1);
                datagram.truncate(len);
            }
            3 => {
                datagram.truncate(HEADER);
                datagram.extend(self.bytes());
                set_len(datagram);
            }
            4 => datagram.extend(self.bytes()),
            5 => {
                // Another message type, or other flags.
                let at = 4 + self.number() % 4;
                let with = self.byte();
                if let Some(byte) = datagram.get_mut(at) {
                    *byte = with;
                }
            }
            6 => datagram.extend_from_within(..),
            7 => *datagram = self.bytes(),
            8 => {
                // Another attribute in its place.
                let at = (self.number() % (datagram.len() + 1)).max(HEADER);
                for (byte, with) in datagram.iter_mut().skip(at & !3).zip(self.bytes()) {
                    *byte = with;
                }
            }
            _ => {}
        }
    }
}

fn set_len(datagram: &mut [u8]) {
    let len = u32::try_from(datagram.len()).expect("a datagram");
    if let Some(field) = datagram.first_chunk_mut() {
        *field = len.to_ne_bytes();
    }
}
