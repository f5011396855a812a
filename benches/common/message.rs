//! Messages to the kernel, made byte by byte, so that the measured crate does not also make the
//! setup.

pub const CTNETLINK: u16 = 1 << 8;
pub const NEW: u16 = CTNETLINK;
pub const GET: u16 = CTNETLINK | 1;
pub const DELETE: u16 = CTNETLINK | 2;

pub const REQUEST: u16 = 1;
pub const ACK: u16 = 4;
pub const DUMP: u16 = 0x300;
pub const CREATE: u16 = 0x400;
pub const EXCL: u16 = 0x200;

pub const ERROR: u16 = 2;
pub const DONE: u16 = 3;

pub const TUPLE_ORIG: u16 = 1;
pub const TUPLE_REPLY: u16 = 2;
pub const STATUS: u16 = 3;
pub const PROTOINFO: u16 = 4;
pub const NAT_SRC: u16 = 6;
pub const TIMEOUT: u16 = 7;
pub const MARK: u16 = 8;
pub const ZONE: u16 = 18;
pub const MARK_MASK: u16 = 21;

const NESTED: u16 = 0x8000;
const HEADER: usize = 20;

/// One message under construction at the end of a buffer.
pub struct Message<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Message<'a> {
    pub fn new(out: &'a mut Vec<u8>, kind: u16, flags: u16, seq: u32, family: u8) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&kind.to_ne_bytes());
        out.extend_from_slice(&(REQUEST | flags).to_ne_bytes());
        out.extend_from_slice(&seq.to_ne_bytes());
        out.extend_from_slice(&[0, 0, 0, 0, family, 0, 0, 0]);
        Self { out, start }
    }

    pub fn put(&mut self, kind: u16, payload: &[u8]) {
        let len = (payload.len() + 4) as u16;
        self.out.extend_from_slice(&len.to_ne_bytes());
        self.out.extend_from_slice(&kind.to_ne_bytes());
        self.out.extend_from_slice(payload);
        self.out.resize(self.out.len().next_multiple_of(4), 0);
    }

    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let at = self.out.len();
        self.put(kind | NESTED, &[]);
        fill(self);
        let len = (self.out.len() - at) as u16;
        self.out[at..at + 2].copy_from_slice(&len.to_ne_bytes());
    }

    /// Appends encoded attributes.
    pub fn copy(&mut self, attributes: &[u8]) {
        self.out.extend_from_slice(attributes);
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        let len = (self.out.len() - self.start) as u32;
        self.out[self.start..self.start + 4].copy_from_slice(&len.to_ne_bytes());
    }
}

/// A message of the kernel.
pub struct Received<'a> {
    pub kind: u16,
    pub seq: u32,
    /// The bytes after the netlink header.
    pub body: &'a [u8],
}

/// The messages of a datagram.
pub fn messages(datagram: &[u8]) -> impl Iterator<Item = Received<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let header: &[u8; 16] = rest.first_chunk()?;
        let len = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let message = Received {
            kind: u16::from_ne_bytes([header[4], header[5]]),
            seq: u32::from_ne_bytes([header[8], header[9], header[10], header[11]]),
            body: rest.get(16..len)?,
        };
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

impl<'a> Received<'a> {
    /// The errno of an ACK or an error: 0 for success.
    pub fn errno(&self) -> i32 {
        let code = self.body.first_chunk().copied().unwrap_or_default();
        -i32::from_ne_bytes(code)
    }

    pub fn family(&self) -> u8 {
        self.body[0]
    }

    /// The attributes with their headers, by type.
    pub fn attributes(&self) -> impl Iterator<Item = (u16, &'a [u8])> {
        let mut rest = &self.body[HEADER - 16..];
        std::iter::from_fn(move || {
            let &[l0, l1, k0, k1] = rest.first_chunk()?;
            let len = usize::from(u16::from_ne_bytes([l0, l1])).next_multiple_of(4);
            let (attribute, behind) = rest.split_at_checked(len)?;
            rest = behind;
            Some((u16::from_ne_bytes([k0, k1]) & !NESTED, attribute))
        })
    }
}
