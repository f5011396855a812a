//! Translations that a request asks for.

use super::*;

impl Request {
    /// A translation to one address and one port, because the kernel chooses at random from
    /// several.
    pub(super) fn translation(&mut self, dice: &mut Dice<'_>, tuple: Tuple, reply: Tuple) {
        let [source, destination] = [dice.once_in(2), dice.once_in(2)];
        let mut to = [(); 2].map(|()| {
            let address = dice.below(3) + 1;
            (address, dice.one_of(&[1, 5000, 5001_u16]))
        });
        if destination && !source {
            // The kernel keeps the source. If another flow had the result, it would choose a port
            // at random, so no other flow may have it.
            let Some(own) = tuple.place_of_its_own(reply) else {
                return;
            };
            to[1] = own;
        }
        for (kind, (address, port), given) in [(6, to[0], source), (13, to[1], destination)] {
            if !given {
                continue;
            }
            self.attrs.nest(kind, |w| {
                if tuple.family == 2 {
                    w.put(1, &tuple.address(address));
                } else {
                    w.put(4, &tuple.address(address));
                }
                w.nest(3, |w| w.u16(1, port));
            });
        }
    }
}
