//! Gather: collects a whole list.

use futures_util::TryStreamExt;

use super::RequestFuture;
use crate::flow::Flow;
use crate::stream::FlowStream;

impl FlowStream {
    /// Collects the rest of the flows into a vector. It takes 232 bytes per flow: 232 MB for a
    /// table of a million.
    ///
    /// # Errors
    ///
    /// The first error of the stream, also of a message that does not decode. To skip such a
    /// message and keep the others, read the stream.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends the walk.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::Table;
    ///
    /// let flows = handle.list(Table::Conntrack).await?.into_vec().await?;
    /// println!("{} flows", flows.len());
    /// # Ok(()) }) }
    /// ```
    pub fn into_vec(self) -> RequestFuture<Vec<Flow>> {
        RequestFuture(Box::pin(self.try_collect()))
    }

    /// Counts the rest of the flows without keeping them.
    ///
    /// To count all flows of the table, use [`stats`](crate::ConntrackHandle::stats), which needs
    /// no walk.
    ///
    /// # Errors
    ///
    /// The first error of the stream, also of a message that does not decode.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends the walk.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::{Filter, Table};
    ///
    /// let marked = Filter::builder().mark(7).build()?;
    /// let marked = handle.list(Table::Conntrack).filter(marked).await?;
    /// println!("{} flows", marked.into_count().await?);
    /// # Ok(()) }) }
    /// ```
    pub fn into_count(self) -> RequestFuture<u64> {
        let count = self.try_fold(0, async |count, _| Ok(count + 1));
        RequestFuture(Box::pin(count))
    }
}
