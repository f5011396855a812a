//! The handle, with one method per verb.

mod beside;
mod events;
mod many;

pub use beside::{Expectations, TimeoutPolicies, UserHelpers};

use std::sync::Arc;

use crate::flow::{FlowKey, Labels, Masked, NewFlow};
use crate::request::{self, Create, Delete, Flush, Get, List, RequestFuture, Table, Update};
use crate::transport::Lanes;

/// A handle to the table of one network namespace.
///
/// Each verb returns a builder. Nothing is sent before it is awaited. Clones are cheap, and share
/// the connection, which lives until the last clone and the last stream are dropped.
///
/// # Errors
///
/// Every verb can return these, in addition to the errors that it names:
///
/// - [`PermissionDenied`](crate::ErrorKind::PermissionDenied): `CAP_NET_ADMIN` was given up after
///   opening;
/// - [`Timeout`](crate::ErrorKind::Timeout): no answer within
///   [`Options::request_timeout`](crate::Options::request_timeout);
/// - [`Closed`](crate::ErrorKind::Closed): the [`Connection`](crate::Connection) is gone;
/// - [`Overrun`](crate::ErrorKind::Overrun): the answer was lost;
/// - [`Decode`](crate::ErrorKind::Decode): the answer cannot be read;
/// - [`Io`](crate::ErrorKind::Io): a system call failed, for example because a walk of the table
///   could not get its thread or socket.
///
/// After `Timeout`, `Overrun` and `Closed` the request may have taken effect.
///
/// # Cancellation
///
/// If a future is dropped before its request is sent, nothing happens. If it is dropped later, the
/// request may have taken effect, and its answer is discarded.
#[derive(Debug, Clone)]
pub struct ConntrackHandle {
    lanes: Arc<Lanes>,
}

impl ConntrackHandle {
    /// Does the kernel have ctnetlink?
    pub(crate) fn probe(&self) -> RequestFuture<()> {
        request::probe(self.lanes.clone())
    }

    pub(crate) fn new(lanes: Lanes) -> Self {
        Self {
            lanes: Arc::new(lanes),
        }
    }

    /// Lists the flows of a table, as a stream.
    ///
    /// `conntrack -L`, with [`family`](List::family) `-f`, with [`filter`](List::filter) `-p`,
    /// `-s`, `-m` and the others; `IPCTNL_MSG_CT_GET` as a dump. One walk gives both families. The
    /// list has its own socket and thread, on which the kernel walks its whole table, with the
    /// flows of all namespaces. The reader sets the pace, and the number of flows that are read
    /// ahead is bounded. See [`FlowStream`](crate::FlowStream).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), and nothing is sent, if the filter is for
    /// another family than the list.
    ///
    /// If the kernel refuses the list, this future fails. A later error is an item of the stream.
    /// Only a few lists walk at the same time; the others wait, and may time out.
    ///
    /// # Cancellation
    ///
    /// Dropping the future or the stream ends the walk.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::Table;
    /// use futures::TryStreamExt;
    ///
    /// let mut flows = handle.list(Table::Conntrack).await?;
    /// while let Some(flow) = flows.try_next().await? {
    ///     println!("{flow}");
    /// }
    /// # Ok(()) }) }
    /// ```
    ///
    /// With a filter, only the flows that match:
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::{Family, Filter, Table};
    /// use futures::TryStreamExt;
    ///
    /// let dns = Filter::builder().family(Family::Ipv4).protocol(17).orig_dst_port(53).build()?;
    /// let mut flows = handle.list(Table::Conntrack).filter(dns).await?;
    /// println!("compared by the kernel: {:?}", flows.kernel_filtered());
    /// while let Some(flow) = flows.try_next().await? {
    ///     println!("{flow}");
    /// }
    /// # Ok(()) }) }
    /// ```
    pub fn list(&self, table: Table) -> List {
        List::new(self.lanes.clone(), table)
    }

    /// Gets one flow; `None` if it is not in the table.
    ///
    /// `conntrack -G`; `IPCTNL_MSG_CT_GET`, with [`zero_counters`](Get::zero_counters)
    /// `IPCTNL_MSG_CT_GET_CTRZERO` after it. The flow is exactly the one that the key names. A flow
    /// that has the tuple as its other direction, or another id, is not returned.
    ///
    /// # Errors
    ///
    /// Those of every verb: see [`ConntrackHandle`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future discards the answer; counters may have been set to zero.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::{FlowKey, Tuple};
    ///
    /// let tuple = Tuple::udp("10.0.0.1:5000".parse()?, "10.0.0.2:53".parse()?)?;
    /// match handle.get(FlowKey::from(tuple).zone(5)).await? {
    ///     Some(flow) => println!("{flow}"),
    ///     None => println!("no such flow"),
    /// }
    /// # Ok(()) }) }
    /// ```
    pub fn get(&self, key: impl Into<FlowKey>) -> Get {
        Get::new(self.lanes.clone(), key.into())
    }

    /// Creates a flow.
    ///
    /// `conntrack -I`; `IPCTNL_MSG_CT_NEW`. It never changes an existing flow. The flow gets what
    /// rules and settings give to every new flow: room for labels if a rule of the namespace uses
    /// labels, counters if `nf_conntrack_acct` is 1, and a timestamp if `nf_conntrack_timestamp` is
    /// 1.
    ///
    /// If the table is full (`nf_conntrack_max`), the kernel may evict another flow, as for a
    /// packet (early drop): it looks at a few buckets, and removes a flow of the namespace that is
    /// not [`ASSURED`](crate::Status::ASSURED). If it finds none, the create is refused.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), and nothing is sent, if the parts
    ///   contradict each other;
    /// - [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if a flow with one of its tuples is
    ///   there;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if its master is not in the table;
    /// - [`Unsupported`](crate::ErrorKind::Unsupported) if the kernel lacks the helper;
    /// - [`TableFull`](crate::ErrorKind::TableFull) if nothing could be evicted.
    ///
    /// # Cancellation
    ///
    /// Dropping the future may leave the flow created.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use std::time::Duration;
    /// use ctnetlink::{NewFlow, TcpState, Tuple};
    ///
    /// let tuple = Tuple::tcp("10.0.0.1:4000".parse()?, "10.0.0.2:443".parse()?)?;
    /// let flow = NewFlow::new(tuple, Duration::from_secs(600))
    ///     .tcp_state(TcpState::ESTABLISHED)
    ///     .mark(7);
    /// handle.create(flow).await?;
    /// assert_eq!(handle.get(tuple).await?.unwrap().mark, Some(7));
    /// # Ok(()) }) }
    /// ```
    pub fn create(&self, flow: impl Into<NewFlow>) -> Create {
        Create::new(self.lanes.clone(), flow.into())
    }

    /// Changes a flow, and never creates one.
    ///
    /// `conntrack -U`; `IPCTNL_MSG_CT_NEW`. Settings that are not named stay as they are. A change
    /// of [`status`](Update::status) reads the flow first, because the kernel requires the whole
    /// status. The kernel ignores the key's id and direction here. It changes the flow that has the
    /// tuple now, in either direction, even if that is a successor of the flow that was listed (see
    /// [`FlowKey`]).
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), and nothing is sent, if nothing is to be
    ///   changed, or the flow's protocol does not allow it;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if the flow is gone;
    /// - [`LabelsUnavailable`](crate::ErrorKind::LabelsUnavailable),
    ///   [`Busy`](crate::ErrorKind::Busy), [`Unsupported`](crate::ErrorKind::Unsupported),
    ///   [`PermissionDenied`](crate::ErrorKind::PermissionDenied) (a fixed timeout), with the
    ///   reason in the text.
    ///
    /// The kernel applies the changes one after the other, in the order that
    /// [`Patch`](crate::Patch) documents. If one fails, the changes before it stay.
    ///
    /// # Cancellation
    ///
    /// Dropping the future may leave the flow changed.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use std::time::Duration;
    /// use ctnetlink::{Status, Tuple};
    ///
    /// let tuple = Tuple::tcp("10.0.0.1:4000".parse()?, "10.0.0.2:443".parse()?)?;
    /// let update = handle.update(tuple).timeout(Duration::from_secs(60)).status(Status::ASSURED);
    /// match update.await {
    ///     Ok(()) => println!("updated"),
    ///     Err(error) if error.is_not_found() => println!("gone"),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok(()) }) }
    /// ```
    pub fn update(&self, key: impl Into<FlowKey>) -> Update {
        Update::new(self.lanes.clone(), key.into())
    }

    /// Sets a flow's mark, or only the bits of a mask.
    ///
    /// `conntrack -U -m`; `CTA_MARK`, `CTA_MARK_MASK` (Linux 3.5). It is
    /// [`update`](Self::update)`(key).`[`mark`](Update::mark)`(mark)`. The kernel does not guard it
    /// against packets that change the mark at the same moment.
    ///
    /// # Errors
    ///
    /// Those of [`update`](Self::update).
    ///
    /// # Cancellation
    ///
    /// Dropping the future may leave the flow marked.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use std::time::Duration;
    /// use ctnetlink::{Masked, NewFlow, Tuple};
    ///
    /// let tuple = Tuple::udp("10.0.0.1:5000".parse()?, "10.0.0.2:53".parse()?)?;
    /// handle.create(NewFlow::new(tuple, Duration::from_secs(60)).mark(0xa1)).await?;
    /// handle.set_mark(tuple, Masked::new(0x02, 0x0f)).await?;
    /// assert_eq!(handle.get(tuple).await?.unwrap().mark, Some(0xa2));
    /// # Ok(()) }) }
    /// ```
    pub fn set_mark(&self, key: impl Into<FlowKey>, mark: impl Into<Masked<u32>>) -> Update {
        Update::set_mark(self.lanes.clone(), key.into(), mark.into())
    }

    /// Sets a flow's labels, or only the bits of a mask.
    ///
    /// `conntrack -U --label-add --label-del`; `CTA_LABELS`, `CTA_LABELS_MASK` (Linux 3.9). It is
    /// [`update`](Self::update)`(key).`[`labels`](Update::labels)`(labels)`. A flow has room for
    /// labels only if a rule of its namespace used labels when it was created.
    ///
    /// # Errors
    ///
    /// Those of [`update`](Self::update);
    /// [`LabelsUnavailable`](crate::ErrorKind::LabelsUnavailable) if there is no room.
    ///
    /// # Cancellation
    ///
    /// Dropping the future may leave the flow labelled.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::{ErrorKind, Labels, Masked, Tuple};
    ///
    /// let tuple = Tuple::udp("10.0.0.1:5000".parse()?, "10.0.0.2:53".parse()?)?;
    /// let (on, off) = (Labels::bit(3)?, Labels::bit(4)?);
    /// match handle.set_labels(tuple, Masked::new(on, on | off)).await {
    ///     Ok(()) => println!("labelled"),
    ///     Err(error) if error.kind() == ErrorKind::LabelsUnavailable => println!("{error}"),
    ///     Err(error) if error.is_not_found() => println!("gone"),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok(()) }) }
    /// ```
    pub fn set_labels(&self, key: impl Into<FlowKey>, labels: impl Into<Masked<Labels>>) -> Update {
        Update::set_labels(self.lanes.clone(), key.into(), labels.into())
    }

    /// Deletes one flow.
    ///
    /// `conntrack -D`; `IPCTNL_MSG_CT_DELETE`. A key from a [`&Flow`](crate::Flow) has tuple, zone
    /// and id, and a flow of the same tuple with another id stays. A successor may have the same
    /// id, though: see [`Flow::id`](field@crate::Flow::id). A key without an id is looked up first.
    /// The flow's expectations are deleted with it; flows that it had expected stay.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](crate::ErrorKind::NotFound) if the flow is gone;
    /// - [`Busy`](crate::ErrorKind::Busy) if its packets go through a flow table
    ///   ([`OFFLOAD`](crate::Status::OFFLOAD)), on kernels that keep such flows: kernels before
    ///   Linux 6.6 whose stable series does not have the fix. There a flush skips them too.
    ///
    /// # Cancellation
    ///
    /// Dropping the future may leave the flow deleted.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::Table;
    /// use futures::TryStreamExt;
    ///
    /// let mut flows = handle.list(Table::Conntrack).await?;
    /// while let Some(flow) = flows.try_next().await? {
    ///     if flow.orig.dst_port() == Some(53) {
    ///         match handle.delete(&flow).await {
    ///             Err(error) if !error.is_not_found() => return Err(error.into()),
    ///             _ => {}
    ///         }
    ///     }
    /// }
    /// # Ok(()) }) }
    /// ```
    pub fn delete(&self, key: impl Into<FlowKey>) -> Delete {
        Delete::new(self.lanes.clone(), key.into())
    }

    /// Removes all flows of a table, the flows of [one family](Flush::family), or the flows that
    /// [match](Flush::filter).
    ///
    /// `conntrack -F`; `IPCTNL_MSG_CT_DELETE` in version 1. The flush has its own socket and
    /// thread, on which the kernel walks its whole table. A filter that this kernel would not
    /// compare correctly is never sent as a flush: the flows are listed and deleted one by one, and
    /// no request timeout applies to that.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), and nothing is sent, for a table other
    /// than [`Table::Conntrack`], an empty filter, or a filter for another family. If flows are
    /// deleted one by one, the error of the first delete that failed.
    ///
    /// # Cancellation
    ///
    /// Dropping the future after its first poll may not stop the kernel. If flows are deleted one
    /// by one, it ends between two sends, with some of the flows removed.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::{Family, Table};
    ///
    /// handle.flush(Table::Conntrack).family(Family::Ipv6).await?;
    /// # Ok(()) }) }
    /// ```
    pub fn flush(&self, table: Table) -> Flush {
        Flush::new(self.lanes.clone(), table)
    }
}
