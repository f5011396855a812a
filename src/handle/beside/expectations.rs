//! The verbs of expectations.

use std::sync::Arc;
use std::time::Duration;

use crate::expectation::{Expectation, ExpectationKey, NewExpectation};
use crate::request::{FlushExpectations, ListExpectations, RequestFuture, expectation, stats};
use crate::stats::{CpuStats, ExpectationCounters};
use crate::transport::Lanes;

/// A handle to the expectations of a network namespace: see
/// [`ConntrackHandle::expectations`](crate::ConntrackHandle::expectations).
///
/// Every verb can also return the errors that [`ConntrackHandle`](crate::ConntrackHandle) lists.
#[derive(Debug, Clone)]
pub struct Expectations {
    lanes: Arc<Lanes>,
}

impl Expectations {
    pub(crate) fn new(lanes: Arc<Lanes>) -> Self {
        Self { lanes }
    }

    /// Lists the expectations, as a stream: all of the namespace, of one
    /// [family](ListExpectations::family), or of one [master](ListExpectations::master).
    ///
    /// `conntrack -L expect`; `IPCTNL_MSG_EXP_GET` as a dump. See
    /// [`ExpectationStream`](crate::ExpectationStream).
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), and nothing is sent, if the master is of
    ///   another family than the list;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if the master is not in the table. A master
    ///   without a helper has no expectations, which is not an error.
    ///
    /// # Cancellation
    ///
    /// Dropping the future or the stream ends the walk.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use futures::TryStreamExt;
    ///
    /// let mut expectations = handle.expectations().list().await?;
    /// while let Some(expectation) = expectations.try_next().await? {
    ///     println!("{expectation}"); // the line that conntrack(8) prints
    /// }
    /// # Ok(()) }) }
    /// ```
    pub fn list(&self) -> ListExpectations {
        ListExpectations::new(self.lanes.clone())
    }

    /// Gets one expectation; `None` if there is none with that tuple.
    ///
    /// `conntrack -G expect`; `IPCTNL_MSG_EXP_GET`.
    ///
    /// # Errors
    ///
    /// Those of every verb.
    ///
    /// # Cancellation
    ///
    /// Dropping the future discards the answer.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::Tuple;
    ///
    /// let data = Tuple::tcp("192.0.2.2:0".parse()?, "192.0.2.1:10000".parse()?)?;
    /// assert_eq!(handle.expectations().get(data).await?, None);
    /// # Ok(()) }) }
    /// ```
    pub fn get(&self, key: impl Into<ExpectationKey>) -> RequestFuture<Option<Expectation>> {
        expectation::get(self.lanes.clone(), key.into())
    }

    /// Creates an expectation, and never changes an existing one.
    ///
    /// `conntrack -I expect`; `IPCTNL_MSG_EXP_NEW`, and once more for the
    /// [timeout](NewExpectation::timeout), which the kernel ignores in the first. If the master has
    /// as many expectations as its helper allows, the kernel removes the oldest.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), and nothing is sent, if the parts
    ///   contradict each other;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if the master is not in the table;
    /// - [`Unsupported`](crate::ErrorKind::Unsupported) if the master has no helper, the helper has
    ///   no such class, or the kernel has no such function;
    /// - [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if an expectation already covers the
    ///   tuple;
    /// - [`Busy`](crate::ErrorKind::Busy) if it overlaps with another expectation;
    /// - [`TableFull`](crate::ErrorKind::TableFull) if there are `nf_conntrack_expect_max`
    ///   expectations.
    ///
    /// # Cancellation
    ///
    /// Dropping the future may leave the expectation created, with the helper's timeout.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use std::time::Duration;
    /// use ctnetlink::{ErrorKind, NewExpectation, NewFlow, Tuple};
    ///
    /// let control = Tuple::tcp("192.0.2.1:4000".parse()?, "192.0.2.2:21".parse()?)?;
    /// let master = NewFlow::new(control, Duration::from_secs(600)).helper("ftp");
    /// match handle.create(master).await {
    ///     Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(()), // no such helper
    ///     created => created?,
    /// }
    /// let data = Tuple::tcp("192.0.2.2:0".parse()?, "192.0.2.1:10000".parse()?)?;
    /// let expectation = NewExpectation::new(control, data).timeout(Duration::from_secs(30));
    /// handle.expectations().create(expectation).await?;
    /// println!("{}", handle.expectations().get(data).await?.unwrap());
    /// # Ok(()) }) }
    /// ```
    pub fn create(&self, expectation: impl Into<NewExpectation>) -> RequestFuture<()> {
        expectation::create(self.lanes.clone(), expectation.into())
    }

    /// Sets the timeout of an expectation, in whole seconds, rounded up. The kernel can change
    /// nothing else. With zero, the expectation ends at once.
    ///
    /// `conntrack -U expect`; `IPCTNL_MSG_EXP_GET` and `IPCTNL_MSG_EXP_NEW`.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), and nothing is sent, for more than 4 294
    ///   967 s, which the kernel would truncate;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if the expectation is gone.
    ///
    /// # Cancellation
    ///
    /// Dropping the future may leave the timeout set.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use std::time::Duration;
    /// use ctnetlink::Tuple;
    ///
    /// let data = Tuple::tcp("192.0.2.2:0".parse()?, "192.0.2.1:10000".parse()?)?;
    /// match handle.expectations().update(data, Duration::from_secs(60)).await {
    ///     Err(error) if error.is_not_found() => println!("gone"),
    ///     updated => updated?,
    /// }
    /// # Ok(()) }) }
    /// ```
    pub fn update(&self, key: impl Into<ExpectationKey>, timeout: Duration) -> RequestFuture<()> {
        expectation::update(self.lanes.clone(), key.into(), timeout)
    }

    /// Deletes one expectation.
    ///
    /// `conntrack -D expect`; `IPCTNL_MSG_EXP_DELETE`, always with a whole tuple: without one, the
    /// kernel would flush. A key without an id is looked up first.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) if the expectation is gone.
    ///
    /// # Cancellation
    ///
    /// Dropping the future may leave the expectation deleted.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::Tuple;
    ///
    /// let data = Tuple::tcp("192.0.2.2:0".parse()?, "192.0.2.1:10000".parse()?)?;
    /// match handle.expectations().delete(data).await {
    ///     Err(error) if error.is_not_found() => println!("gone"),
    ///     deleted => deleted?,
    /// }
    /// # Ok(()) }) }
    /// ```
    pub fn delete(&self, key: impl Into<ExpectationKey>) -> RequestFuture<()> {
        expectation::delete(self.lanes.clone(), key.into())
    }

    /// Removes all expectations of both families, or the expectations of one
    /// [helper](FlushExpectations::helper).
    ///
    /// `conntrack -F expect`; `IPCTNL_MSG_EXP_DELETE`. The flush has its own socket and thread, on
    /// which the kernel walks its table.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), and nothing is sent, for a name that no
    /// helper can have.
    ///
    /// # Cancellation
    ///
    /// Dropping the future after its first poll may not stop the kernel.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// handle.expectations().flush().helper("ftp").await?;
    /// # Ok(()) }) }
    /// ```
    pub fn flush(&self) -> FlushExpectations {
        FlushExpectations::new(self.lanes.clone())
    }

    /// Returns the expectation counters of each CPU.
    ///
    /// `conntrack -S expect`; `IPCTNL_MSG_EXP_GET_STATS_CPU` (Linux 3.6).
    ///
    /// # Errors
    ///
    /// Those of every verb.
    ///
    /// # Cancellation
    ///
    /// Dropping the future discards the answer.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::CpuStats;
    ///
    /// let stats = handle.expectations().cpu_stats().await?;
    /// println!("made: {:?}", CpuStats::total(&stats).create);
    /// # Ok(()) }) }
    /// ```
    pub fn cpu_stats(&self) -> RequestFuture<Vec<CpuStats<ExpectationCounters>>> {
        stats::expectation_cpu_stats(self.lanes.clone())
    }
}
