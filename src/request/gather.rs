//! Gather: all of a list at once.

use futures_util::TryStreamExt;

use super::RequestFuture;
use crate::flow::Flow;
use crate::stream::FlowStream;

impl FlowStream {
    /// The rest of the flows, in a vector: 232 bytes a flow, a table of a million 232 MB.
    ///
    /// # Errors
    ///
    /// The first error of the stream, also of a message that does not decode. To pass over it and
    /// keep the others, read the stream.
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

    /// How many flows are left, counted without keeping them.
    ///
    /// For a table without a filter, [`stats`](crate::ConntrackHandle::stats) tells it without a
    /// walk.
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
