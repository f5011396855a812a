//! An iterator over the flows of a mirror.

use std::fmt;
use std::sync::Arc;

use super::View;
use crate::flow::Flow;
use crate::mirror::entry::Entry;
use crate::mirror::index::Cursor;

type Pick = dyn Fn(&Entry, u32) -> Option<Flow> + Send + Sync;

/// An iterator over flows of a mirror: from [`MirrorReader::find`](super::MirrorReader::find).
///
/// It holds no lock between two calls.
#[must_use = "iterators do nothing unless consumed"]
pub struct MirrorFlows {
    view: Arc<View>,
    pick: Box<Pick>,
    cursor: Cursor,
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
            cursor: Cursor::default(),
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
            let now = self.view.now();
            let mut found = Vec::new();
            let is_there = self.view.index.walk(&mut self.cursor, |entry| {
                found.extend((self.pick)(entry, now));
            });
            if !is_there {
                return None;
            }
            self.found = found.into_iter();
        }
    }
}

impl std::iter::FusedIterator for MirrorFlows {}

impl fmt::Debug for MirrorFlows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MirrorFlows").finish_non_exhaustive()
    }
}
