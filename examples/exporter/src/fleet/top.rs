//! Counts flows by a part of them, with a limit for the number of different parts.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::ranking::Part;

/// About 100 MiB.
pub(super) const KEPT: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Counts {
    counts: HashMap<Part, Count>,
    limit: usize,
    /// The numbers are lower bounds, because some parts were forgotten, and may have come again.
    is_cut: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) flows: u64,
    pub(super) bytes: u64,
}

impl Counts {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, part: Part, bytes: u64) {
        if self.counts.len() >= self.limit && !self.counts.contains_key(&part) {
            self.cut();
        }
        let count = match self.counts.entry(part) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Count::default()),
        };
        count.flows += 1;
        count.bytes += bytes;
    }

    /// The largest counts, in descending order.
    pub(super) fn top(&self, n: usize) -> Vec<(Part, Count)> {
        let mut rows: Vec<_> = self
            .counts
            .iter()
            .map(|(part, count)| (*part, *count))
            .collect();
        rows.sort_by(|(a, x), (b, y)| y.flows.cmp(&x.flows).then(a.cmp(b)));
        rows.truncate(n);
        rows
    }

    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Forgets at least the smaller half.
    fn cut(&mut self) {
        let mut flows: Vec<_> = self.counts.values().map(|count| count.flows).collect();
        let middle = flows.len() / 2;
        let (_, median, _) = flows.select_nth_unstable(middle);
        let median = *median;
        self.counts.retain(|_, count| count.flows > median);
        self.is_cut = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_kept_though_there_are_more_than_there_is_room_for() {
        let mut counts = Counts::new(100);
        for n in 0..100_000 {
            counts.add(Part::Number(1_000_000 + n), 1);
            if n % 10 == 0 {
                counts.add(Part::Number(7), 100);
            }
            assert!(counts.counts.len() <= 100);
        }
        assert!(counts.is_cut());
        let top = counts.top(1);
        assert_eq!(
            top,
            [(
                Part::Number(7),
                Count {
                    flows: 10_000,
                    bytes: 1_000_000
                }
            )]
        );
    }

    #[test]
    fn where_there_is_room_all_numbers_are_exact() {
        let mut counts = Counts::new(3);
        for n in [1, 2, 2, 3, 3, 3] {
            counts.add(Part::Number(n), 10);
        }
        let top: Vec<_> = counts.top(9).iter().map(|(_, count)| count.flows).collect();
        assert_eq!((top, counts.is_cut()), (vec![3, 2, 1], false));
    }
}
