//! Tuples, as they are written into requests.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Attrs, Dice};

/// A tuple from a few addresses and ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tuple {
    pub(super) family: u8,
    protocol: u8,
    src: u8,
    dst: u8,
    ports: [u16; 2],
    echo: [u8; 2],
    zone: Option<u16>,
    mask: Option<bool>,
    /// Whether an attribute of the protocol, and an address, are left out.
    without: [bool; 2],
}

impl Tuple {
    pub(super) fn by(dice: &mut Dice<'_>, family: u8) -> Self {
        let protocol = match dice.below(12) {
            0..=3 => 6,
            4..=6 => 17,
            7 if family == 10 => 58,
            7 => 1,
            8 => dice.one_of(&[47, 132]),
            9 => dice.one_of(&[136, 33]),
            10 => 89,
            _ => 6,
        };
        let kind = match protocol {
            58 => dice.one_of(&[128, 129, 139, 1]),
            _ => dice.one_of(&[8, 0, 13, 3]),
        };
        Self {
            family,
            protocol,
            src: dice.below(2) + 1,
            dst: dice.below(2) + 2,
            ports: [dice.one_of(&[1000, 1001]), dice.one_of(&[21, 5000])],
            echo: [kind, dice.one_of(&[0, 0, 1])],
            zone: dice.once_in(30).then_some(5),
            mask: None,
            without: [dice.once_in(60), dice.once_in(60)],
        }
    }

    /// One of two flows, which mostly have helpers.
    pub(super) fn master(dice: &mut Dice<'_>, family: u8) -> Self {
        let plain = Self::by(&mut Dice::new(&[]), family);
        let protocol = dice.one_of(&[6, 6, 17]);
        Self { protocol, ..plain }
    }

    pub(super) fn inverse(self) -> Self {
        let kind = match (self.protocol, self.echo[0]) {
            (1, 8) => 0,
            (1, 0) => 8,
            (1, 13) | (58, 128 | 139) => self.echo[0] + 1,
            (58, 129) => 128,
            (_, kind) => kind,
        };
        Self {
            src: self.dst,
            dst: self.src,
            ports: match self.protocol {
                1 | 58 => self.ports,
                _ => [self.ports[1], self.ports[0]],
            },
            echo: [kind, self.echo[1]],
            ..self
        }
    }

    /// An address and a port that no other tuple has as its destination; `None` for a flow with an
    /// unusual reply.
    pub(super) fn place_of_its_own(self, reply: Self) -> Option<(u8, u16)> {
        let own = reply == self.inverse() && self.zone.is_none() && self.without == [false; 2];
        let [first, second] = self.ports;
        own.then_some((
            10 + self.dst,
            10_000 + first % 10 + 2 * u16::from(second == 21),
        ))
    }

    /// The mask of an expectation. It covers the whole source, or nothing of it.
    pub(super) fn mask(self, whole: bool) -> Self {
        Self {
            mask: Some(whole),
            zone: None,
            ..self
        }
    }

    pub(super) fn address(self, number: u8) -> Vec<u8> {
        match self.family {
            10 => Ipv6Addr::from([0xfd00, 0, 0, 0, 0, 0, 0, number.into()])
                .octets()
                .into(),
            _ => Ipv4Addr::new(10, 0, 0, number).octets().into(),
        }
    }

    pub(super) fn write(&self, w: &mut Attrs) {
        let v6 = self.family == 10;
        let [no_part, no_address] = self.without;
        let addresses = match self.mask {
            None => [self.address(self.src), self.address(self.dst)],
            Some(whole) => {
                [if whole { 0xff } else { 0 }, 0xff].map(|byte| vec![byte; self.address(1).len()])
            }
        };
        let ports = match self.mask {
            None => self.ports,
            Some(whole) => [if whole { u16::MAX } else { 0 }, u16::MAX],
        };
        w.nest(1, |w| {
            w.put(if v6 { 3 } else { 1 }, &addresses[0]);
            if !no_address {
                w.put(if v6 { 4 } else { 2 }, &addresses[1]);
            }
        });
        w.nest(2, |w| {
            w.put(1, &[self.protocol]);
            match self.protocol {
                1 | 58 => {
                    let first = if self.protocol == 1 { 4 } else { 7 };
                    w.u16(first, ports[0]);
                    w.put(first + 1, &self.echo[..1]);
                    if !no_part {
                        w.put(first + 2, &self.echo[1..]);
                    }
                }
                89 => {}
                _ => {
                    w.u16(2, ports[0]);
                    if !no_part {
                        w.u16(3, ports[1]);
                    }
                }
            }
        });
        if let Some(zone) = self.zone {
            w.u16(3, zone);
        }
    }
}
