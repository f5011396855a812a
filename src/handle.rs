//! The handle: one method per verb.

use std::sync::Arc;

use crate::flow::{FlowKey, Labels, Masked, NewFlow};
use crate::request::{Create, Delete, Flush, Get, List, Table, Update};
use crate::transport::Lanes;

/// The way to the table of one network namespace.
///
/// Each verb returns a builder to await; nothing is sent before that. Clones are cheap, and share
/// the connection.
#[derive(Debug, Clone)]
pub struct ConntrackHandle {
    lanes: Arc<Lanes>,
}

impl ConntrackHandle {
    pub(crate) fn new(lanes: Lanes) -> Self {
        Self {
            lanes: Arc::new(lanes),
        }
    }

    /// Lists the flows of a table, as a stream.
    pub fn list(&self, table: Table) -> List {
        List::new(self.lanes.clone(), table)
    }

    /// Gets one flow; `None` where it is not in the table.
    pub fn get(&self, key: impl Into<FlowKey>) -> Get {
        Get::new(self.lanes.clone(), key.into())
    }

    /// Creates a flow.
    pub fn create(&self, flow: impl Into<NewFlow>) -> Create {
        Create::new(self.lanes.clone(), flow.into())
    }

    /// Changes a flow; never creates one.
    pub fn update(&self, key: impl Into<FlowKey>) -> Update {
        Update::new(self.lanes.clone(), key.into())
    }

    /// Sets a flow's mark, in the bits that count.
    pub fn set_mark(&self, key: impl Into<FlowKey>, mark: impl Into<Masked<u32>>) -> Update {
        Update::set_mark(self.lanes.clone(), key.into(), mark.into())
    }

    /// Sets a flow's labels, in the bits that count.
    pub fn set_labels(&self, key: impl Into<FlowKey>, labels: impl Into<Masked<Labels>>) -> Update {
        Update::set_labels(self.lanes.clone(), key.into(), labels.into())
    }

    /// Deletes one flow.
    pub fn delete(&self, key: impl Into<FlowKey>) -> Delete {
        Delete::new(self.lanes.clone(), key.into())
    }

    /// Removes all flows of a table.
    pub fn flush(&self, table: Table) -> Flush {
        Flush::new(self.lanes.clone(), table)
    }
}
