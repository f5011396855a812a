//! Messages as bytes, so that the crate does not correct what is sent.

const NESTED: u16 = 0x8000;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const DUMP_FILTERED: u16 = 0x20;

/// Attributes under construction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attrs(pub(crate) Vec<u8>);

impl Attrs {
    pub(crate) fn put(&mut self, kind: u16, payload: &[u8]) {
        let len = payload.len() as u16 + 4;
        self.0.extend_from_slice(&len.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(payload);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    pub(crate) fn u32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_be_bytes());
    }

    pub(crate) fn u16(&mut self, kind: u16, value: u16) {
        self.put(kind, &value.to_be_bytes());
    }

    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Attrs)) {
        let mut inner = Attrs::default();
        fill(&mut inner);
        self.put(kind | NESTED, &inner.0);
    }
}

/// A message with its length in front.
pub(crate) fn message(kind: u16, flags: u16, seq: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = (16 + body.len() as u32).to_ne_bytes().to_vec();
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&seq.to_ne_bytes());
    bytes.extend_from_slice(&0_u32.to_ne_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// The messages of a datagram.
pub(crate) fn split(mut datagram: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while let Some(len) = datagram.first_chunk().map(|len| u32::from_ne_bytes(*len)) {
        let len = (len as usize).clamp(1, datagram.len());
        messages.push(&datagram[..len]);
        datagram = &datagram[len.next_multiple_of(4).min(datagram.len())..];
    }
    messages
}

pub(crate) fn kind(message: &[u8]) -> u16 {
    u16::from_ne_bytes([message[4], message[5]])
}

/// The id of the flow or the expectation in a message.
pub(crate) fn id(datagram: &[u8]) -> Option<[u8; 4]> {
    let wanted = match kind(datagram) >> 8 {
        1 => 12,
        2 => 5,
        _ => return None,
    };
    let mut found = None;
    each(datagram.get(20..)?, |kind, payload| {
        if kind == wanted {
            found = payload.first_chunk().copied();
        }
    });
    found
}

/// Removes from a message what differs between the two sides: the port, ids and times. Remaining
/// seconds are rounded to hundreds.
pub(crate) fn without_own(message: &[u8]) -> Vec<u8> {
    let mut bytes = message.to_vec();
    bytes[12..16].fill(0);
    if kind(message) == DONE {
        // Some stable kernels set this flag also at the end of a dump. The release number does not
        // tell which.
        let flags = u16::from_ne_bytes([bytes[6], bytes[7]]) & !DUMP_FILTERED;
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    }
    if matches!(kind(message), ERROR | DONE) {
        return bytes;
    }
    let (seconds, ids, times): (u16, u16, &[u16]) = match kind(message) {
        0x0100 | 0x0102 => (7, 12, &[20, 27]),
        0x0200 | 0x0202 => (4, 5, &[]),
        _ => return bytes,
    };
    let mut at = 20;
    let end = bytes.len();
    let attrs = bytes[at.min(end)..].to_vec();
    each(&attrs, |kind, payload| {
        let place = &mut bytes[at + 4..][..payload.len()];
        if kind == seconds {
            let left = payload
                .first_chunk()
                .map_or(0, |left| u32::from_be_bytes(*left));
            place.copy_from_slice(&((left + 50) / 100).to_be_bytes());
        } else if kind == ids {
            place.fill(0);
        } else if times.contains(&kind) {
            // The headers inside of the nest stay.
            each_place(payload, |time| place[time].fill(0));
        }
        at += (payload.len() + 4).next_multiple_of(4);
    });
    bytes
}

/// The places of the payloads inside of a nest, or the whole payload if it is not a nest.
fn each_place(payload: &[u8], mut f: impl FnMut(std::ops::Range<usize>)) {
    if payload.len() == 8 {
        return f(0..8);
    }
    let mut at = 0;
    each(payload, |_, inner| {
        f(at + 4..at + 4 + inner.len());
        at += (inner.len() + 4).next_multiple_of(4);
    });
}

pub(crate) fn each(mut attrs: &[u8], mut f: impl FnMut(u16, &[u8])) {
    while let Some(&[l0, l1, k0, k1]) = attrs.first_chunk() {
        let len = usize::from(u16::from_ne_bytes([l0, l1]));
        let Some(payload) = attrs.get(4..len) else {
            return;
        };
        f(u16::from_ne_bytes([k0, k1]) & 0x3fff, payload);
        attrs = &attrs[len.next_multiple_of(4).min(attrs.len())..];
    }
}
