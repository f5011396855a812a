//! The verbs for many flows.

use futures_core::Stream;
use futures_util::StreamExt;

use super::ConntrackHandle;
use crate::filter::Filter;
use crate::flow::{Flow, FlowKey, NewFlow, Patch};
use crate::request::bulk::source::Source;
use crate::request::restore::MastersFirst;
use crate::request::{Bulk, Change, GetMany, matching};

impl ConntrackHandle {
    /// Makes many changes, in order: creates, updates and deletes.
    ///
    /// `conntrack --load-file` (`-R`); `IPCTNL_MSG_CT_NEW` and `IPCTNL_MSG_CT_DELETE`, up to 64 in
    /// a send with one ACK for all, on its own socket and thread. Each change works as in
    /// [`create`](Self::create), [`update`](Self::update) and [`delete`](Self::delete), and a
    /// change that fails does not stop the others.
    ///
    /// The changes are taken from the iterator as they are needed, so millions of changes take no
    /// more memory than a few hundred. Up to 64 are taken for a send. After 512 in a row without a
    /// pause, a second thread takes up to 512 more while the kernel works, on a machine with a
    /// second processor. Changes that were taken and not yet sent are lost if the request is
    /// dropped or stopped.
    ///
    /// For a delete by a key without an id, and for an update of a status, the flow is read first,
    /// which takes a second send. Such changes are not sent together with others, so runs of one
    /// kind are the fastest.
    ///
    /// When answers are lost, the request finds out the results. An update is made once more. A
    /// flow that is gone counts as deleted, and a flow that is there with the requested settings
    /// counts as created. If the result cannot be found out, because the flow differs or a later
    /// change of the same send concerned it too, the change fails with
    /// [`Overrun`](crate::ErrorKind::Overrun).
    ///
    /// No request timeout applies. Do not wait in the iterator, for a channel for instance: that
    /// delays the changes before it and keeps the threads after the future is dropped. Use
    /// [`bulk_stream`](Self::bulk_stream) instead.
    ///
    /// # Errors
    ///
    /// If the request could not begin: [`Io`](crate::ErrorKind::Io),
    /// [`Closed`](crate::ErrorKind::Closed),
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied) for entering the namespace. The
    /// results of the changes are in the [`Report`](crate::Report), with the error of each that
    /// failed. A change that is [`InvalidInput`](crate::ErrorKind::InvalidInput) is not sent.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends the request after the send in flight. To stop early and still get
    /// the report, use [`on_progress`](Bulk::on_progress).
    ///
    /// # Panics
    ///
    /// The future panics if the iterator does.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use std::time::Duration;
    /// use ctnetlink::{Change, NewFlow, Patch, Tuple};
    ///
    /// let server = "10.0.0.2:53".parse()?;
    /// let tuples: Vec<_> = (1024..2024)
    ///     .map(|port| Tuple::udp(([10, 0, 0, 1], port).into(), server))
    ///     .collect::<Result<_, _>>()?;
    /// let creates = tuples.clone().into_iter().map(|tuple| {
    ///     Change::Create(NewFlow::new(tuple, Duration::from_secs(60)))
    /// });
    /// let report = handle.bulk(creates).await?;
    /// assert_eq!(report.applied, 1000);
    ///
    /// let mark = Patch::new().mark(7);
    /// let updates = tuples.into_iter().map(move |tuple| Change::Update(tuple.into(), mark.clone()));
    /// println!("{}", handle.bulk(updates).await?);
    /// # Ok(()) }) }
    /// ```
    pub fn bulk(
        &self,
        changes: impl IntoIterator<Item = Change, IntoIter: Send + 'static>,
    ) -> Bulk {
        Bulk::new(self.lanes.clone(), Source::iter(changes.into_iter()))
    }

    /// [`bulk`](Self::bulk) for a stream: changes are sent as they arrive, and changes that are
    /// ready at the same time are sent together.
    ///
    /// The stream is polled on a thread of the request, within this runtime. After 512 changes in a
    /// row without a pause, a second thread polls it, as for [`bulk`](Self::bulk). The request ends
    /// when the stream ends. A stream that is pending does not delay the changes before it.
    ///
    /// # Errors
    ///
    /// Those of [`bulk`](Self::bulk).
    ///
    /// # Cancellation
    ///
    /// As [`bulk`](Self::bulk); the stream is dropped, whatever it is waiting for.
    ///
    /// # Panics
    ///
    /// The future panics if the stream does.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::{Change, Tuple};
    /// use futures::SinkExt;
    ///
    /// // Some task finds out which flows are to go.
    /// let (mut found, changes) = futures::channel::mpsc::channel(64);
    /// tokio::spawn(async move {
    ///     let tuple = Tuple::udp("10.0.0.1:5000".parse()?, "10.0.0.2:53".parse()?)?;
    ///     found.send(Change::delete(tuple)).await?;
    ///     Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// });
    /// let report = handle.bulk_stream(changes).await?;
    /// println!("{report}");
    /// # Ok(()) }) }
    /// ```
    pub fn bulk_stream(&self, changes: impl Stream<Item = Change> + Send + 'static) -> Bulk {
        let changes = changes.map(Ok);
        Bulk::new(self.lanes.clone(), Source::stream(changes))
    }

    /// Creates flows that were listed before, each master before the flows that it expected.
    ///
    /// `conntrack -L -o save`, and `conntrack -R`; `IPCTNL_MSG_CT_NEW`. It is a
    /// [`bulk`](Self::bulk) of creates in another order: the kernel refuses a flow whose master is
    /// not in the table, and a list has flows in any order. Flows with a master are kept in memory
    /// until the others are created. Flows that are in the table already count as
    /// [`exists`](field@crate::Report::exists), so a restore can be repeated.
    ///
    /// # Errors
    ///
    /// Those of [`bulk`](Self::bulk). A flow whose master is gone is a failure in the report,
    /// [`NotFound`](crate::ErrorKind::NotFound).
    ///
    /// # Cancellation
    ///
    /// As [`bulk`](Self::bulk).
    ///
    /// # Panics
    ///
    /// The future panics if the iterator does.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::Table;
    /// use futures::TryStreamExt;
    ///
    /// let saved: Vec<_> = handle.list(Table::Conntrack).await?.try_collect().await?;
    /// handle.flush(Table::Conntrack).await?;
    /// let report = handle.restore(saved).await?;
    /// println!("{report}");
    /// # Ok(()) }) }
    /// ```
    pub fn restore<T: Into<NewFlow> + 'static>(
        &self,
        flows: impl IntoIterator<Item = T, IntoIter: Send + 'static>,
    ) -> Bulk {
        let flows = MastersFirst::new(flows.into_iter().map(Into::into));
        Bulk::new(self.lanes.clone(), Source::iter(flows.map(Change::Create)))
    }

    /// Calls `decide` with each flow that matches, and makes the change that it returns; `None`
    /// leaves a flow unchanged. An empty filter matches all flows.
    ///
    /// It takes one walk of the table and one bulk request, however many different changes there
    /// are: a gateway with a thousand prefixes need not list a thousand times. A change may concern
    /// another flow than the listed one. A [`Change::delete`] of the found flow is as safe as
    /// [`delete_matching`](Self::delete_matching).
    ///
    /// `decide` is called on the thread of the request, within this runtime.
    ///
    /// # Errors
    ///
    /// Those of [`list`](Self::list) and [`bulk`](Self::bulk). A later error of the list is in the
    /// report: [`Report::incomplete`](crate::Report::incomplete).
    ///
    /// # Cancellation
    ///
    /// As [`bulk`](Self::bulk).
    ///
    /// # Panics
    ///
    /// The future panics if `decide` does.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::{Change, Filter, Patch};
    ///
    /// // Gives each flow half of the time that it has left.
    /// let report = handle
    ///     .change_matching(Filter::default(), |flow| {
    ///         let half = flow.timeout? / 2;
    ///         Some(Change::update(flow, Patch::new().timeout(half)))
    ///     })
    ///     .await?;
    /// report.into_result()?;
    /// # Ok(()) }) }
    /// ```
    pub fn change_matching(
        &self,
        filter: Filter,
        decide: impl FnMut(&Flow) -> Option<Change> + Send + 'static,
    ) -> Bulk {
        matching::change(self.lanes.clone(), filter, decide)
    }

    /// Deletes the flows that match.
    ///
    /// `conntrack -D` without a whole tuple; `IPCTNL_MSG_CT_GET` as a dump, and
    /// `IPCTNL_MSG_CT_DELETE`. The table is listed with the filter, and each flow that matches is
    /// deleted by its reply tuple, zone and id, many in a send.
    ///
    /// Between the list and the delete, which are microseconds apart, a flow may end and another
    /// may begin in its place. If an address or port of the new flow differs in either direction,
    /// it stays. If all are the same, the new flow often has the same id too, the kernel cannot
    /// tell the two apart, and the new flow is deleted. Flows that begin meanwhile may be found or
    /// not.
    ///
    /// For [a filter that the kernel compares](crate::Flush::filter) a filtered
    /// [`flush`](Self::flush) does the same in one request, but gives no count.
    ///
    /// # Errors
    ///
    /// Those of [`list`](Self::list) and [`bulk`](Self::bulk);
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), and nothing is sent, for an empty filter.
    /// A later error of the list is in the report:
    /// [`Report::incomplete`](crate::Report::incomplete).
    ///
    /// # Cancellation
    ///
    /// As [`bulk`](Self::bulk).
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::{Filter, IpNet};
    ///
    /// let gone: IpNet = "10.0.0.7/32".parse()?;
    /// let stale = Filter::builder().protocol(17).reply_src(gone).build()?;
    /// let report = handle.delete_matching(stale).await?;
    /// println!("{} deleted, {} had ended before", report.applied, report.gone);
    /// report.into_result()?;
    /// # Ok(()) }) }
    /// ```
    pub fn delete_matching(&self, filter: Filter) -> Bulk {
        matching::delete(self.lanes.clone(), filter, None)
    }

    /// Changes the flows that match. An empty filter matches all flows.
    ///
    /// `conntrack -U` without a whole tuple; `IPCTNL_MSG_CT_GET` as a dump, and
    /// `IPCTNL_MSG_CT_NEW`. The table is listed with the filter, and each flow that matches is
    /// changed by its original tuple and zone, many in a send. If another flow has taken the place
    /// of one that matched, the new flow is changed, except for a change of status: see
    /// [`update`](Self::update).
    ///
    /// # Errors
    ///
    /// Those of [`list`](Self::list) and [`bulk`](Self::bulk);
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), and nothing is sent, for a patch that
    /// changes nothing or is invalid. A later error of the list is in the report:
    /// [`Report::incomplete`](crate::Report::incomplete).
    ///
    /// # Cancellation
    ///
    /// As [`bulk`](Self::bulk).
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::{Filter, Masked, Patch};
    ///
    /// let web = Filter::builder().protocol(6).orig_dst_port(443).build()?;
    /// let patch = Patch::new().mark(Masked::new(0x10, 0xf0));
    /// let report = handle.update_matching(web, patch).await?;
    /// println!("{} marked", report.applied);
    /// report.into_result()?;
    /// # Ok(()) }) }
    /// ```
    pub fn update_matching(&self, filter: Filter, patch: Patch) -> Bulk {
        matching::update(self.lanes.clone(), filter, patch)
    }

    /// Gets many flows, as a stream of keys and flows in the order of the keys.
    ///
    /// `IPCTNL_MSG_CT_GET`, up to 64 in a send, on its own socket and thread. That thread takes the
    /// keys from the iterator as it needs them, and waits for the reader. Each flow is exactly the
    /// one that its key names, as with [`get`](Self::get); `None` if it is not in the table.
    ///
    /// No request timeout applies. Do not wait in the iterator: that delays the keys before it and
    /// keeps the thread after the stream is dropped. Use [`get_many_stream`](Self::get_many_stream)
    /// instead.
    ///
    /// # Errors
    ///
    /// [`Io`](crate::ErrorKind::Io), [`PermissionDenied`](crate::ErrorKind::PermissionDenied) for
    /// entering the namespace, [`Closed`](crate::ErrorKind::Closed). An error with one flow is an
    /// item of the stream.
    ///
    /// # Cancellation
    ///
    /// Dropping the future or the stream ends it.
    ///
    /// # Panics
    ///
    /// The future or the stream panics if the iterator does.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::Tuple;
    /// use futures::TryStreamExt;
    ///
    /// let server = "10.0.0.2:53".parse()?;
    /// let tuples: Vec<_> = (1024..2024)
    ///     .map(|port| Tuple::udp(([10, 0, 0, 1], port).into(), server))
    ///     .collect::<Result<_, _>>()?;
    /// let mut found = handle.get_many(tuples).await?;
    /// while let Some((key, flow)) = found.try_next().await? {
    ///     match flow {
    ///         Some(flow) => println!("{flow}"),
    ///         None => println!("{} has ended", key.tuple()),
    ///     }
    /// }
    /// # Ok(()) }) }
    /// ```
    pub fn get_many(
        &self,
        keys: impl IntoIterator<Item: Into<FlowKey> + 'static, IntoIter: Send + 'static>,
    ) -> GetMany {
        let keys = keys.into_iter().map(Into::into);
        GetMany::new(self.lanes.clone(), Source::iter(keys))
    }

    /// [`get_many`](Self::get_many) for a stream of keys. Keys that are ready at the same time are
    /// sent together.
    ///
    /// The stream is polled on the thread of the request, within this runtime.
    ///
    /// # Errors
    ///
    /// Those of [`get_many`](Self::get_many).
    ///
    /// # Cancellation
    ///
    /// As [`get_many`](Self::get_many); the stream of the keys is dropped, whatever it is waiting for.
    ///
    /// # Panics
    ///
    /// The future or the stream panics if the stream of the keys does.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::{FlowKey, Tuple};
    /// use futures::{SinkExt, TryStreamExt};
    ///
    /// let (mut keys, receiver) = futures::channel::mpsc::channel::<FlowKey>(64);
    /// let mut found = handle.get_many_stream(receiver).await?;
    /// let tuple = Tuple::udp("10.0.0.1:5000".parse()?, "10.0.0.2:53".parse()?)?;
    /// keys.send(tuple.into()).await?;
    /// match found.try_next().await? {
    ///     Some((key, None)) => println!("{} has ended", key.tuple()),
    ///     Some((_, Some(flow))) => println!("{flow}"),
    ///     None => println!("there are no more keys"),
    /// }
    /// # Ok(()) }) }
    /// ```
    pub fn get_many_stream(
        &self,
        keys: impl Stream<Item: Into<FlowKey> + 'static> + Send + 'static,
    ) -> GetMany {
        let keys = keys.map(|key| Ok(key.into()));
        GetMany::new(self.lanes.clone(), Source::stream(keys))
    }
}
