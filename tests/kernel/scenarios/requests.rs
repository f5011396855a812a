//! Random requests about a few flows, so that many are about the same one.

mod beside;
mod nat;
mod shown;
mod tuple;

use super::bytes::{Attrs, message};
use super::dice::Dice;
use crate::support::release;
use tuple::Tuple;

const REQUEST: u16 = 1;
const ACK: u16 = 4;
const ECHO: u16 = 8;
const DUMP: u16 = 0x300;
const EXCL: u16 = 0x200;
const CREATE: u16 = 0x400;

const NEW: u16 = 0x0100;
const GET: u16 = 0x0101;
const DELETE: u16 = 0x0102;
const GET_CTRZERO: u16 = 0x0103;
const EXP_NEW: u16 = 0x0200;
const EXP_GET: u16 = 0x0201;
const EXP_DELETE: u16 = 0x0202;

/// `CTA_ID`, `CTA_EXPECT_ID`.
const IDS: [u16; 2] = [12, 5];

/// One request. An id in it is replaced by the id that the object has on each side.
#[derive(Clone)]
pub(super) struct Request {
    kind: u16,
    flags: u16,
    seq: u32,
    family: u8,
    version: u8,
    attrs: Attrs,
    /// The attributes for the lookup of the object's id, and whether the id is then changed to a
    /// wrong one.
    by_id: Option<(Attrs, bool)>,
    /// The number of bytes that are missing at its end.
    cut: usize,
}

impl Request {
    pub(super) fn by(dice: &mut Dice<'_>, seq: u32) -> Self {
        let mut request = Self {
            kind: NEW,
            flags: REQUEST | ACK,
            seq,
            family: if dice.once_in(4) { 10 } else { 2 },
            version: dice.below(2),
            attrs: Attrs::default(),
            by_id: None,
            cut: 0,
        };
        match dice.below(16) {
            0..=4 => request.create(dice),
            5 | 6 => request.update(dice),
            7 => request.get(dice),
            8 => request.delete(dice),
            9 => request.flush(dice),
            10 => request.dump(dice),
            11 => request.statistics(dice),
            12 | 13 => request.expect(dice),
            14 if dice.once_in(3) => request.policy(dice),
            14 => request.about_expectations(dice),
            _ => request.odd(dice),
        }
        if dice.once_in(8) {
            request.flags &= !ACK;
        }
        if dice.once_in(6) && !request.is_walk() {
            request.flags |= ECHO;
        }
        request
    }

    /// Does its answer contain several objects, in the order of the kernel's table?
    pub(super) fn is_walk(&self) -> bool {
        let creates = [NEW, EXP_NEW, 0x0800];
        let dumps = !creates.contains(&self.kind) && self.flags & DUMP != 0;
        dumps || [DELETE, EXP_DELETE].contains(&self.kind)
    }

    /// The request that looks up the object of the id.
    pub(super) fn lookup(&self) -> Option<Vec<u8>> {
        let (attrs, _) = self.by_id.as_ref()?;
        let kind = self.kind & 0xff00 | GET & 0xff;
        Some(self.message(kind, REQUEST, attrs))
    }

    pub(super) fn datagram(&self, id: Option<[u8; 4]>) -> Vec<u8> {
        let mut attrs = self.attrs.clone();
        if let (Some((_, another)), Some(mut id)) = (&self.by_id, id) {
            id[0] ^= u8::from(*another);
            attrs.put(IDS[usize::from(self.kind >> 9)], &id);
        }
        self.message(self.kind, self.flags, &attrs)
    }

    fn message(&self, kind: u16, flags: u16, attrs: &Attrs) -> Vec<u8> {
        let mut body = vec![self.family, self.version, 0, 0];
        body.extend_from_slice(&attrs.0);
        body.truncate(body.len() - self.cut.min(body.len()));
        message(kind, flags, self.seq, &body)
    }

    fn create(&mut self, dice: &mut Dice<'_>) {
        self.flags |= dice.one_of(&[CREATE | EXCL, CREATE, CREATE, EXCL]);
        let expecting = dice.once_in(4);
        let tuple = match expecting {
            true => Tuple::master(dice, self.family),
            false => Tuple::by(dice, self.family),
        };
        self.attrs.nest(1, |w| tuple.write(w));
        let reply = match dice.below(8) {
            0..=5 => tuple.inverse(),
            _ => Tuple::by(dice, self.family),
        };
        if !dice.once_in(30) {
            self.attrs.nest(2, |w| reply.write(w));
        }
        if !dice.once_in(30) {
            // Not near the limits of rounding to hundreds. A flow with zero seconds ends at any
            // time.
            let seconds = dice.one_of(&[600, 1200, 432_000, u32::MAX]);
            self.attrs.u32(7, seconds);
        }
        if expecting || dice.once_in(3) {
            self.helper(dice);
        }
        if dice.once_in(4) {
            self.translation(dice, tuple, reply);
        }
        if dice.once_in(8) {
            let master = Tuple::by(dice, self.family);
            self.attrs.nest(14, |w| master.write(w));
        }
        self.changes(dice);
        self.zone(dice);
    }

    fn update(&mut self, dice: &mut Dice<'_>) {
        self.key(dice);
        if dice.once_in(3) {
            self.attrs.u32(7, dice.one_of(&[600, 1200, 3600]));
        }
        if dice.once_in(4) {
            self.helper(dice);
        }
        if dice.once_in(20) {
            let tuple = Tuple::by(&mut Dice::new(&[]), self.family);
            self.translation(dice, tuple, tuple.inverse());
        }
        self.changes(dice);
        self.zone(dice);
    }

    fn changes(&mut self, dice: &mut Dice<'_>) {
        if dice.once_in(3) {
            let status = dice.one_of(&[
                8, 0xa, 0xc, 0xe, 0x408, 0x40e, 0x2008, 0xffff, 0, 9, 0x208, 0x1f0f8,
            ]);
            self.attrs.u32(3, status);
        }
        if dice.once_in(3) {
            self.mark(dice);
        }
        if dice.once_in(4) {
            self.labels(dice);
        }
        if dice.once_in(4) {
            self.protoinfo(dice);
        }
        if dice.once_in(8) {
            for kind in [15, 16] {
                self.numbers(dice, kind);
            }
        }
        if dice.once_in(8) {
            self.numbers(dice, 24);
        }
        if dice.once_in(25) {
            // Attributes that must not be sent, that are ignored, or that no kernel knows.
            let kind = dice.one_of(&[9, 11, 12, 20, 26, 27, 28, 60]);
            self.attrs.put(kind, &[0; 8]);
        }
        if dice.once_in(25) {
            // Attributes that are too short.
            let kind = dice.one_of(&[1, 3, 4, 7, 8, 18, 21, 22, 27]);
            self.attrs.put(kind, &[0; 3][..usize::from(dice.below(4))]);
        }
    }

    fn mark(&mut self, dice: &mut Dice<'_>) {
        if !dice.once_in(6) {
            self.attrs.u32(8, dice.one_of(&[0, 1, 2, 0xff00, u32::MAX]));
        }
        if dice.once_in(3) {
            self.attrs.u32(21, dice.one_of(&[0, 1, 0xff, u32::MAX]));
        }
    }

    fn labels(&mut self, dice: &mut Dice<'_>) {
        let bytes: Vec<u8> = (0..5).flat_map(|_| dice.u32().to_be_bytes()).collect();
        let length = usize::from(dice.one_of(&[16, 16, 8, 4, 0, 3, 20_u8]));
        self.attrs.put(22, &bytes[..length]);
        if dice.once_in(2) {
            let mask = if dice.once_in(8) { 4 } else { length };
            self.attrs.put(23, &[0xf0; 20][..mask]);
        }
    }

    fn protoinfo(&mut self, dice: &mut Dice<'_>) {
        const TCP: u16 = 1;
        const DCCP: u16 = 2;
        let protocol = dice.one_of(&[TCP, TCP, TCP, TCP, 3, DCCP]);
        self.attrs.nest(4, |w| {
            w.nest(protocol, |w| {
                if protocol == DCCP {
                    w.put(1, &[dice.below(10)]);
                    w.put(2, &[dice.below(3)]);
                    if dice.once_in(2) {
                        w.put(3, &u64::from(dice.u32()).to_be_bytes());
                    }
                } else if protocol == TCP {
                    for (kind, limit) in [(1, 11), (2, 16), (3, 16)] {
                        if dice.once_in(2) {
                            w.put(kind, &[dice.below(limit)]);
                        }
                    }
                    for kind in [4, 5] {
                        if dice.once_in(2) {
                            w.put(kind, &[dice.below(255), dice.one_of(&[0xff, 0x0b, 0])]);
                        }
                    }
                } else {
                    w.put(1, &[dice.below(10)]);
                    w.u32(2, dice.u32());
                    if !dice.once_in(8) {
                        w.u32(3, dice.u32());
                    }
                }
            });
        });
    }

    fn numbers(&mut self, dice: &mut Dice<'_>, kind: u16) {
        let all = !dice.once_in(8);
        self.attrs.nest(kind, |w| {
            w.u32(1, dice.u32());
            w.u32(2, dice.u32());
            if all {
                w.u32(3, dice.u32());
            }
        });
    }

    fn helper(&mut self, dice: &mut Dice<'_>) {
        let name = dice.one_of(&[
            "ftp",
            "ftp",
            "tftp",
            "sip",
            "irc",
            "",
            "nobody",
            "a name that is too long",
        ]);
        // Older kernels do not set the timer of an expectation if the helper of its master was
        // removed.
        let stays = name.is_empty() && release::release() < (5, 15);
        let name = if stays { "nobody" } else { name };
        let name: Vec<u8> = name.bytes().chain([0]).collect();
        let named = !dice.once_in(20);
        self.attrs.nest(5, |w| {
            if named {
                w.put(1, &name);
            }
        });
    }

    fn zone(&mut self, dice: &mut Dice<'_>) {
        if dice.once_in(8) {
            self.attrs.u16(18, dice.one_of(&[5, 0]));
        }
    }

    /// A tuple as the key of a flow.
    fn key(&mut self, dice: &mut Dice<'_>) {
        let tuple = match dice.once_in(4) {
            true => Tuple::master(dice, self.family),
            false => Tuple::by(dice, self.family),
        };
        let (kind, tuple) = match dice.below(4) {
            0 | 1 => (1, tuple),
            2 => (2, tuple.inverse()),
            _ => (1, tuple.inverse()),
        };
        self.attrs.nest(kind, |w| tuple.write(w));
    }

    fn get(&mut self, dice: &mut Dice<'_>) {
        self.kind = dice.one_of(&[GET, GET, GET_CTRZERO]);
        self.key(dice);
        self.zone(dice);
        if dice.once_in(8) {
            self.mark(dice);
        }
    }

    fn delete(&mut self, dice: &mut Dice<'_>) {
        self.kind = DELETE;
        self.key(dice);
        self.zone(dice);
        if dice.once_in(2) {
            self.by_id = Some((self.attrs.clone(), dice.once_in(3)));
        }
        if dice.once_in(8) {
            self.mark(dice);
        }
        if dice.once_in(16) {
            self.filter(dice);
        }
    }

    fn flush(&mut self, dice: &mut Dice<'_>) {
        self.kind = DELETE;
        self.conditions(dice);
    }

    fn dump(&mut self, dice: &mut Dice<'_>) {
        self.kind = dice.one_of(&[GET, GET, GET, GET_CTRZERO, 0x0106, 0x0107]);
        self.flags |= dice.one_of(&[DUMP, DUMP, 0x100, 0x200]);
        self.conditions(dice);
    }

    fn conditions(&mut self, dice: &mut Dice<'_>) {
        self.family = dice.one_of(&[0, 0, 2, 10, 7]);
        if dice.once_in(3) {
            self.mark(dice);
        }
        if dice.once_in(4) {
            if !dice.once_in(6) {
                self.attrs.u32(3, dice.one_of(&[8, 4, 2, 0, 0x100]));
            }
            if dice.once_in(3) {
                self.attrs.u32(26, dice.one_of(&[8, 4, 0xe, 0]));
            }
        }
        self.zone(dice);
        if dice.once_in(4) {
            self.filter(dice);
        }
    }

    fn filter(&mut self, dice: &mut Dice<'_>) {
        let flags = |dice: &mut Dice<'_>| {
            dice.one_of(&[
                0, 1, 2, 3, 8, 9, 0x18, 0x28, 0x3b, 4, 0x10, 0x1c8, 0xe08, 0x1000_u32,
            ])
        };
        let sides = [flags(dice), if dice.once_in(3) { flags(dice) } else { 0 }];
        let nested = if dice.once_in(20) { 0 } else { 0x8000 };
        let mut inner = Attrs::default();
        for (kind, flags) in (1..).zip(sides) {
            if flags != 0 || dice.once_in(3) {
                inner.put(kind, &flags.to_ne_bytes());
            }
        }
        self.attrs.put(25 | nested, &inner.0);
        let tuple = Tuple::by(dice, if self.family == 10 { 10 } else { 2 });
        for (kind, flags) in (1..).zip(sides) {
            if flags != 0 && !dice.once_in(12) {
                self.attrs.nest(kind, |w| tuple.write(w));
            }
        }
    }
}
