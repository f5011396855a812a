//! Requests about expectations, statistics and policies, and requests that make no sense.

use super::*;

impl Request {
    pub(super) fn statistics(&mut self, dice: &mut Dice<'_>) {
        self.kind = dice.one_of(&[0x0105, 0x0104, 0x0203]);
        self.flags |= dice.one_of(&[DUMP, DUMP, 0]);
        if self.kind == 0x0105 {
            self.flags &= !DUMP;
        }
    }

    pub(super) fn expect(&mut self, dice: &mut Dice<'_>) {
        self.kind = EXP_NEW;
        self.flags |= dice.one_of(&[CREATE | EXCL, CREATE, 0, CREATE]);
        let master = match dice.once_in(6) {
            false => Tuple::master(dice, self.family),
            true => Tuple::by(dice, self.family),
        };
        let tuple = Tuple::by(dice, self.family);
        if !dice.once_in(20) {
            self.attrs.nest(1, |w| master.write(w));
        }
        if !dice.once_in(20) {
            self.attrs.nest(2, |w| tuple.write(w));
        }
        let whole = dice.once_in(2);
        if !dice.once_in(20) {
            self.attrs.nest(3, |w| tuple.mask(whole).write(w));
        }
        if dice.once_in(3) {
            self.attrs.u32(4, dice.one_of(&[600, 1200]));
        }
        if dice.once_in(4) {
            self.attrs.u32(8, dice.one_of(&[1, 2, 4, 7, 8]));
        }
        if dice.once_in(8) {
            self.attrs.u32(9, dice.one_of(&[0, 1, 3, 4]));
        }
        if dice.once_in(8) {
            // Helpers with one class only: for other classes, older kernels read beyond the
            // policies of the master's helper.
            let name = dice.one_of(&[b"ftp\0".as_slice(), b"tftp\0", b"nobody\0"]);
            self.attrs.put(6, name);
        }
        if dice.once_in(8) {
            let (direction, all) = (dice.one_of(&[0, 1, 2]), !dice.once_in(4));
            self.attrs.nest(10, |w| {
                w.u32(1, direction);
                if all {
                    w.nest(2, |w| tuple.write(w));
                }
            });
        }
        if dice.once_in(8) {
            self.attrs.put(
                11,
                dice.one_of(&[b"nat-follow-master\0".as_slice(), b"sip\0", b"nobody\0"]),
            );
        }
        if dice.once_in(10) {
            self.attrs.u16(7, 5);
        }
    }

    pub(super) fn about_expectations(&mut self, dice: &mut Dice<'_>) {
        let tuple = Tuple::by(dice, self.family);
        let choice = dice.below(8);
        match choice {
            0 | 1 => self.kind = EXP_GET,
            2 | 3 => self.kind = EXP_DELETE,
            4 => (self.kind, self.flags) = (EXP_GET, self.flags | DUMP),
            5 => (self.kind, self.flags) = (EXP_GET, self.flags | DUMP),
            6 => self.kind = EXP_DELETE,
            _ => self.kind = EXP_DELETE,
        }
        match choice {
            0..4 => {
                self.attrs.nest(2, |w| tuple.write(w));
                if dice.once_in(2) {
                    self.by_id = Some((self.attrs.clone(), dice.once_in(3)));
                }
            }
            4 => self.family = dice.one_of(&[0, 2, 10]),
            5 => {
                let master = Tuple::master(dice, self.family);
                self.attrs.nest(1, |w| master.write(w));
            }
            6 => self.attrs.put(6, b"ftp\0"),
            _ => {}
        }
    }

    /// Timeout policies.
    pub(super) fn policy(&mut self, dice: &mut Dice<'_>) {
        self.kind = 0x0800 + u16::from(dice.below(5));
        self.family = 0;
        let flags = match self.kind {
            0x0800 => dice.one_of(&[CREATE | EXCL, 0x100, 0, EXCL]),
            0x0801 => dice.one_of(&[DUMP, 0]),
            _ => 0,
        };
        self.flags |= flags;
        if !dice.once_in(8) {
            let name = dice.one_of(&["one", "two", "a name that is longer than a policy's may be"]);
            let name: Vec<u8> = name.bytes().chain([0]).collect();
            self.attrs.put(1, &name);
        }
        if !dice.once_in(12) {
            self.attrs.u16(2, dice.one_of(&[2, 10]));
        }
        if !dice.once_in(12) {
            self.attrs.put(
                3,
                &[dice.one_of(&[6, 17, 17, 1, 58, 47, 132, 33, 136, 255, 89])],
            );
        }
        if dice.once_in(2) {
            self.attrs.nest(4, |w| {
                for kind in 1..12 {
                    if dice.once_in(4) {
                        w.u32(kind, dice.one_of(&[100, 700]));
                    }
                }
            });
        }
    }

    /// A request that makes no sense.
    pub(super) fn odd(&mut self, dice: &mut Dice<'_>) {
        match dice.below(6) {
            0 => {
                self.kind = dice.one_of(&[0x0108, 0x0204, 0x0100 * 99, 0x0205, 0x10]);
                self.key(dice);
            }
            1 => {
                self.create(dice);
                self.flags &= !REQUEST;
            }
            2 => {
                self.create(dice);
                self.cut = 1 + usize::from(dice.below(60));
            }
            3 => {
                self.create(dice);
                self.family = dice.one_of(&[0, 7]);
            }
            4 => {
                self.kind = dice.one_of(&[GET, EXP_GET, GET_CTRZERO]);
            }
            _ => self.cut = 4,
        }
    }
}
