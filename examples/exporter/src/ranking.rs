//! Counts flows by a part of them, and finds the largest counts.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use ctnetlink::Flow;

use crate::args::By;

/// Counts that are always sorted, so that the largest are found quickly.
#[derive(Debug)]
pub struct Ranking<K> {
    counts: HashMap<K, u64>,
    order: BTreeSet<(u64, K)>,
}

impl<K: Hash + Ord + Clone> Ranking<K> {
    pub fn add(&mut self, key: K) {
        let count = self.counts.entry(key.clone()).or_default();
        self.order.remove(&(*count, key.clone()));
        *count += 1;
        self.order.insert((*count, key));
    }

    pub fn sub(&mut self, key: K) {
        let Some(count) = self.counts.get_mut(&key) else {
            return;
        };
        self.order.remove(&(*count, key.clone()));
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&key);
        } else {
            let count = *count;
            self.order.insert((count, key));
        }
    }

    /// The largest counts, in descending order.
    pub fn top(&self, n: usize) -> impl Iterator<Item = (&K, u64)> {
        self.order
            .iter()
            .rev()
            .take(n)
            .map(|(count, key)| (key, *count))
    }
}

impl<K> Default for Ranking<K> {
    fn default() -> Self {
        Self {
            counts: HashMap::new(),
            order: BTreeSet::new(),
        }
    }
}

/// A part of a flow, in little memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    Address(std::net::IpAddr),
    Number(u32),
}

impl By {
    /// `None` for a flow without it.
    pub fn of(self, flow: &Flow) -> Option<Part> {
        match self {
            Self::Source => Some(Part::Address(flow.orig.src())),
            Self::Destination => Some(Part::Address(flow.orig.dst())),
            Self::Port => flow.orig.dst_port().map(|port| Part::Number(port.into())),
            Self::Zone => Some(Part::Number(flow.zone.id().into())),
            Self::Mark => Some(Part::Number(flow.mark.unwrap_or(0))),
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Port => "port",
            Self::Zone => "zone",
            Self::Mark => "mark",
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Number(number) => number.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_first_and_what_is_gone_is_not_kept() {
        let mut ranking = Ranking::default();
        for key in [1, 2, 2, 3, 3, 3] {
            ranking.add(key);
        }
        let top = |ranking: &Ranking<i32>, n| -> Vec<_> {
            ranking.top(n).map(|(key, count)| (*key, count)).collect()
        };
        assert_eq!(top(&ranking, 2), [(3, 3), (2, 2)]);
        ranking.sub(3);
        ranking.sub(3);
        ranking.sub(1);
        ranking.sub(4);
        assert_eq!(top(&ranking, 9), [(2, 2), (3, 1)]);
        ranking.sub(3);
        ranking.sub(2);
        ranking.sub(2);
        assert!(ranking.counts.is_empty() && ranking.order.is_empty());
    }
}
