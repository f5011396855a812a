//! Messages that no current kernel sends: attributes in another order, missing attributes, unknown
//! attributes. If the filter matches the flow in such a message, the program must not drop it.

use super::*;
use crate::wire::attr::{Attribute, Attributes, align4};
use crate::wire::uapi::{IPCTNL_MSG_CT_DELETE, NLA_F_NESTED};

/// So rare that it does not happen.
const NEVER: usize = 1 << 40;

/// The headers of a message: netlink's and netfilter's.
const HEAD: usize = 20;

/// Random choices.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % sides
    }
}

fn put(kind: u16, payload: &[u8], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&(payload.len() as u16 + 4).to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(payload);
    bytes.resize(align4(bytes.len()), 0);
}

/// The attributes, and those inside them, in random order. One in `seldom` is left out.
fn disordered(attributes: &[u8], seldom: usize, dice: &mut Dice) -> Vec<u8> {
    let mut all = Vec::new();
    let mut rest = Attributes(attributes);
    while !rest.0.is_empty() {
        let head = u16::from_ne_bytes([rest.0[2], rest.0[3]]);
        let Some(Attribute { payload, .. }) = rest.next().expect("an attribute") else {
            break;
        };
        let inner = match head & NLA_F_NESTED {
            0 => payload.to_vec(),
            _ => disordered(payload, 4 * seldom, dice),
        };
        if dice.below(seldom) > 0 {
            let mut bytes = Vec::new();
            put(head, &inner, &mut bytes);
            all.push(bytes);
        }
    }
    for _ in 0..dice.below(4) {
        let payload: Vec<u8> = (0..dice.below(30)).map(|_| dice.below(256) as u8).collect();
        let mut bytes = Vec::new();
        let nested = [0, NLA_F_NESTED][dice.below(2)];
        let unknown = 200 + dice.below(1000) as u16;
        put(unknown | nested, &payload, &mut bytes);
        all.push(bytes);
    }
    for n in (1..all.len()).rev() {
        all.swap(n, dice.below(n + 1));
    }
    all.concat()
}

/// A message with this flow, or with a part of it.
fn event(flow: &Flow, seldom: usize, dice: &mut Dice) -> Vec<u8> {
    let message = without_zeros(flow);
    let mut bytes = message[..HEAD].to_vec();
    bytes.extend_from_slice(&disordered(&message[HEAD..], seldom, dice));
    let len = (bytes.len() as u32).to_ne_bytes();
    bytes[..4].copy_from_slice(&len);
    if dice.below(3) == 0 {
        bytes[4..6].copy_from_slice(&IPCTNL_MSG_CT_DELETE.to_ne_bytes());
    }
    bytes
}

/// Every message that decodes and matches passes.
fn none_that_matches_is_dropped(
    filter: &Filter,
    flows: &[Flow],
    seldom: usize,
    dice: &mut Dice,
) -> Result<(), TestCaseError> {
    let Some(SocketFilter { program, .. }) = whole(filter) else {
        return Ok(());
    };
    let sieve = Sieve::new(&program);
    for flow in flows {
        let message = event(flow, seldom, dice);
        let passes = sieve.passes(&message);
        if let Ok(read) = Flow::from_message(&message) {
            let matches = filter.matches(&read);
            prop_assert!(passes || !matches, "{:?} drops {:?}", filter, read);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn none_that_matches_is_dropped_whatever_its_attributes(
        flow in flow(), other in flow(), which: u32, mask: u32, bit: u32, seed in 1_u64..,
        seldom in prop_oneof![Just(NEVER), 8_usize..40],
    ) {
        let mut dice = Dice(seed);
        let met = built(met_by(&flow, which, mask));
        let [a, b, c] = neighbours(&flow, bit);
        let flows = [flow, other, a, b, c];
        none_that_matches_is_dropped(&met, &flows, seldom, &mut dice)?;
        if !met.is_empty() {
            let not = built(Filter::builder().not(met.clone()));
            none_that_matches_is_dropped(&not, &flows, seldom, &mut dice)?;
            let neither = built(Filter::builder().any_of([not, met]));
            none_that_matches_is_dropped(&neither, &flows, seldom, &mut dice)?;
        }
    }
}

/// Checks the messages themselves. With all attributes, they decode to the flow that they were made
/// from. Without some, most still decode.
#[test]
fn the_messages_can_be_read() {
    let mut dice = Dice(7);
    let mut flow = udp("10.1.2.3:4000", "10.2.0.1:53");
    flow.mark = Some(5);
    flow.status = Status::CONFIRMED;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..500 {
        let message = event(&flow, NEVER, &mut dice);
        assert_eq!(Flow::from_message(&message).expect("a flow"), flow);
        seen.insert(message);
    }
    assert!(seen.len() > 400, "{} orders", seen.len());
    let parts = (0..500).filter_map(|_| Flow::from_message(&event(&flow, 16, &mut dice)).ok());
    let parts: Vec<_> = parts.filter(|part| *part != flow).collect();
    assert!(parts.len() > 20, "{} parts", parts.len());
}
