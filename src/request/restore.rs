//! Restore: puts flows into an order that the kernel accepts.

use std::collections::HashMap;

use crate::flow::{FlowKey, NewFlow};

/// Returns flows without a master as they come. Flows with a master come at the end, each after its
/// own master, because the kernel requires that the master exists.
pub(crate) struct MastersFirst<I> {
    flows: Option<I>,
    kept: Vec<NewFlow>,
}

impl<I: Iterator<Item = NewFlow>> MastersFirst<I> {
    pub(crate) fn new(flows: I) -> Self {
        Self {
            flows: Some(flows),
            kept: Vec::new(),
        }
    }
}

impl<I: Iterator<Item = NewFlow>> Iterator for MastersFirst<I> {
    type Item = NewFlow;

    fn next(&mut self) -> Option<NewFlow> {
        while let Some(flows) = &mut self.flows {
            match flows.next() {
                Some(flow) if flow.has_master() => self.kept.push(flow),
                Some(flow) => return Some(flow),
                None => {
                    self.flows = None;
                    self.kept = in_order(std::mem::take(&mut self.kept));
                    // Flows are taken from the end.
                    self.kept.reverse();
                }
            }
        }
        self.kept.pop()
    }
}

/// Sorts flows so that each comes after its master, if the master is one of them.
fn in_order(flows: Vec<NewFlow>) -> Vec<NewFlow> {
    let keys = flows.iter().map(FlowKey::from);
    let by_key: HashMap<FlowKey, usize> = keys.zip(0..).collect();
    let master_of = |index: usize| by_key.get(&flows[index].master_key()?).copied();
    let mut is_placed = vec![false; flows.len()];
    let mut order = Vec::with_capacity(flows.len());
    for index in 0..flows.len() {
        // Follow the masters up to the first that is placed already, or is not in the list.
        let mut line = Vec::new();
        let mut next = Some(index);
        while let Some(index) = next.filter(|index| !is_placed[*index]) {
            // Mark it at once, so that a cycle of masters ends.
            is_placed[index] = true;
            line.push(index);
            next = master_of(index);
        }
        order.extend(line.into_iter().rev());
    }
    let mut flows: Vec<_> = flows.into_iter().map(Some).collect();
    order
        .into_iter()
        .filter_map(|index| flows[index].take())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::flow::Tuple;

    fn tuple(n: u16) -> Tuple {
        let server = ([10, 0, 0, 2], 21).into();
        Tuple::tcp(([10, 0, 0, 1], n).into(), server).expect("a tuple")
    }

    /// Flows with these numbers, each with the number of its master, or 0.
    fn restored(flows: &[(u16, u16)]) -> Vec<u16> {
        let flows: Vec<_> = flows
            .iter()
            .map(|(n, master)| {
                let flow = NewFlow::new(tuple(*n), Duration::from_secs(9));
                match master {
                    0 => flow,
                    master => flow.master(tuple(*master)),
                }
            })
            .collect();
        let ordered = MastersFirst::new(flows.into_iter());
        ordered
            .map(|flow| flow.orig().src_port().unwrap_or_default())
            .collect()
    }

    #[test]
    fn a_master_comes_first() {
        assert_eq!(restored(&[(2, 1), (1, 0), (3, 0)]), [1, 3, 2]);
        // A master that has a master itself, a master that is not in the list, and a cycle.
        assert_eq!(restored(&[(3, 2), (2, 1), (1, 0)]), [1, 2, 3]);
        assert_eq!(restored(&[(2, 9), (1, 0)]), [1, 2]);
        let mut circle = restored(&[(1, 2), (2, 3), (3, 1)]);
        circle.sort_unstable();
        assert_eq!(circle, [1, 2, 3]);
        assert_eq!(restored(&[(1, 1)]), [1]);
        assert_eq!(restored(&[]), [0; 0]);
    }
}
