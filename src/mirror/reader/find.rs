//! An iterator over the flows of a mirror.

use std::fmt;
use std::sync::Arc;

use super::View;
use crate::flow::Flow;
use crate::mirror::entry::Entry;
use crate::mirror::index::SHARDS;

type Pick = dyn Fn(&Entry, u32) -> Option<Flow> + Send + Sync;

/// An iterator over flows of a mirror: from [`MirrorReader::find`](super::MirrorReader::find).
///
/// It holds no lock between two calls.
#[must_use = "iterators do nothing unless consumed"]
pub struct MirrorFlows {
    view: Arc<View>,
    pick: Box<Pick>,
    shard: usize,
    chunk: usize,
    found: std::vec::IntoIter<Flow>,
}

impl MirrorFlows {
    pub(super) fn new(
        view: Arc<View>,
        pick: impl Fn(&Entry, u32) -> Option<Flow> + Send + Sync + 'static,
    ) -> Self {
        Self {
            view,
            pick: Box::new(pick),
            shard: 0,
            chunk: 0,
            found: Vec::new().into_iter(),
        }
    }
}

impl Iterator for MirrorFlows {
    type Item = Flow;

    fn next(&mut self) -> Option<Flow> {
        loop {
            if let Some(flow) = self.found.next() {
                return Some(flow);
            }
            if self.shard == SHARDS {
                return None;
            }
            let now = self.view.now();
            let mut found = Vec::new();
            let is_there = self.view.index.chunk(self.shard, self.chunk, |entry| {
                found.extend((self.pick)(entry, now));
            });
            self.found = found.into_iter();
            (self.shard, self.chunk) = match is_there {
                true => (self.shard, self.chunk + 1),
                false => (self.shard + 1, 0),
            };
        }
    }
}

impl std::iter::FusedIterator for MirrorFlows {}

impl fmt::Debug for MirrorFlows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MirrorFlows").finish_non_exhaustive()
    }
}
