//! The verbs of timeout policies.

use std::sync::Arc;

use crate::flow::Protocol;
use crate::request::{RequestFuture, timeout};
use crate::timeout::{TimeoutPolicy, Timeouts};
use crate::transport::Lanes;

/// A handle to the timeout policies of a network namespace, and to its default timeouts: see
/// [`ConntrackHandle::timeouts`](crate::ConntrackHandle::timeouts).
///
/// The errors of every verb are those of [`ConntrackHandle`](crate::ConntrackHandle), and
/// [`Unsupported`](crate::ErrorKind::Unsupported) if the kernel has no timeout policies (module
/// `nfnetlink_cttimeout`), or none for the protocol.
#[derive(Debug, Clone)]
pub struct TimeoutPolicies {
    lanes: Arc<Lanes>,
}

impl TimeoutPolicies {
    pub(crate) fn new(lanes: Arc<Lanes>) -> Self {
        Self { lanes }
    }

    /// Lists the timeout policies.
    ///
    /// `nfct list timeout`; `IPCTNL_MSG_TIMEOUT_GET` (Linux 3.4) as a dump. There are few of them,
    /// so they come all at once.
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
    /// for policy in handle.timeouts().list().await? {
    ///     println!("{policy}");
    /// }
    /// # Ok(()) }) }
    /// ```
    pub fn list(&self) -> RequestFuture<Vec<TimeoutPolicy>> {
        timeout::list(self.lanes.clone())
    }

    /// Gets one timeout policy; `None` if there is none of that name.
    ///
    /// `nfct get timeout`; `IPCTNL_MSG_TIMEOUT_GET`.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), and nothing is sent, for an invalid name:
    /// an empty one, or one of more than 31 bytes.
    ///
    /// # Cancellation
    ///
    /// Dropping the future discards the answer.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// assert_eq!(handle.timeouts().get("idle").await?, None);
    /// # Ok(()) }) }
    /// ```
    pub fn get(&self, name: impl Into<Box<str>>) -> RequestFuture<Option<TimeoutPolicy>> {
        timeout::get(self.lanes.clone(), name.into())
    }

    /// Creates a timeout policy, and never changes an existing one.
    ///
    /// `nfct add timeout`; `IPCTNL_MSG_TIMEOUT_NEW`. States without a timeout get the current
    /// defaults of the namespace.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), and nothing is sent, for an invalid
    ///   name, and for more than 4 294 967 s, which the kernel would truncate;
    /// - [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if there is one of that name.
    ///
    /// # Cancellation
    ///
    /// Dropping the future may leave the policy created.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use std::time::Duration;
    /// use ctnetlink::{Family, TcpTimeouts, TimeoutPolicy};
    ///
    /// let idle = TcpTimeouts::new().established(Duration::from_secs(3600));
    /// let policy = TimeoutPolicy::new("idle", Family::Ipv4, idle);
    /// handle.timeouts().create(policy).await?;
    /// # Ok(()) }) }
    /// ```
    pub fn create(&self, policy: TimeoutPolicy) -> RequestFuture<()> {
        timeout::create(self.lanes.clone(), policy)
    }

    /// Sets timeouts of a policy. The other timeouts stay as they are.
    ///
    /// Not in nfct(8). `IPCTNL_MSG_TIMEOUT_GET` and `IPCTNL_MSG_TIMEOUT_NEW`: the kernel would
    /// reset the others to the namespace's defaults, so the policy is read first. If two programs
    /// update it at the same time, one may undo the other; an update that races with a delete may
    /// create the policy again.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), and nothing is changed, if the policy is
    ///   for another protocol, and in the cases of [`create`](Self::create);
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is none of that name.
    ///
    /// # Cancellation
    ///
    /// Dropping the future may leave the policy changed.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use std::time::Duration;
    /// use ctnetlink::{Family, TcpTimeouts, TimeoutPolicy};
    ///
    /// let idle = TcpTimeouts::new().established(Duration::from_secs(3600));
    /// let policy = TimeoutPolicy::new("idle", Family::Ipv4, idle);
    /// handle.timeouts().create(policy).await?;
    ///
    /// let established = TcpTimeouts::new().established(Duration::from_secs(7200));
    /// handle.timeouts().update("idle", established).await?;
    /// # Ok(()) }) }
    /// ```
    pub fn update(
        &self,
        name: impl Into<Box<str>>,
        timeouts: impl Into<Timeouts>,
    ) -> RequestFuture<()> {
        timeout::update(self.lanes.clone(), name.into(), timeouts.into())
    }

    /// Deletes one timeout policy.
    ///
    /// `nfct delete timeout`; `IPCTNL_MSG_TIMEOUT_DELETE`. Since Linux 7.2, and in later releases
    /// of the stable series (6.12.117 is one), a policy that a rule uses is deleted too: the rule
    /// stays, and its flows lose the policy.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), and nothing is sent, for an invalid name;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is none of that name;
    /// - [`Busy`](crate::ErrorKind::Busy) if a rule uses it and this kernel does not delete it
    ///   then.
    ///
    /// # Cancellation
    ///
    /// Dropping the future may leave the policy deleted.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// match handle.timeouts().delete("idle").await {
    ///     Err(error) if error.is_not_found() => println!("there is none"),
    ///     deleted => deleted?,
    /// }
    /// # Ok(()) }) }
    /// ```
    pub fn delete(&self, name: impl Into<Box<str>>) -> RequestFuture<()> {
        timeout::delete(self.lanes.clone(), name.into())
    }

    /// Deletes all timeout policies that [`delete`](Self::delete) would. The others stay, and the
    /// kernel does not report them.
    ///
    /// `nfct flush timeout`; `IPCTNL_MSG_TIMEOUT_DELETE` without a name. It has its own socket and
    /// thread, on which the kernel walks its table once for each policy.
    ///
    /// # Errors
    ///
    /// Those of every verb.
    ///
    /// # Cancellation
    ///
    /// Dropping the future may leave the policies deleted.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// handle.timeouts().flush().await?;
    /// # Ok(()) }) }
    /// ```
    pub fn flush(&self) -> RequestFuture<()> {
        timeout::flush(self.lanes.clone())
    }

    /// Returns the default timeouts of a protocol in this namespace, which apply to flows without a
    /// policy.
    ///
    /// `nfct default-get timeout`; `IPCTNL_MSG_TIMEOUT_DEFAULT_GET` (Linux 3.13). They are the
    /// settings `net.netfilter.nf_conntrack_*_timeout*`, and apply to both families. Number 255
    /// stands for all protocols that the kernel has no tracker for.
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
    /// use ctnetlink::Protocol;
    ///
    /// println!("{}", handle.timeouts().defaults(Protocol::TCP).await?);
    /// # Ok(()) }) }
    /// ```
    pub fn defaults(&self, protocol: impl Into<Protocol>) -> RequestFuture<Timeouts> {
        timeout::defaults(self.lanes.clone(), protocol.into())
    }

    /// Sets default timeouts of this namespace. The other timeouts stay as they are.
    ///
    /// `nfct default-set timeout`; `IPCTNL_MSG_TIMEOUT_DEFAULT_SET` (Linux 3.13).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), and nothing is sent, for more than 4 294
    /// 967 s, which the kernel would truncate.
    ///
    /// # Cancellation
    ///
    /// Dropping the future may leave the timeouts set.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use std::time::Duration;
    /// use ctnetlink::TcpTimeouts;
    ///
    /// let day = TcpTimeouts::new().established(Duration::from_secs(86_400));
    /// handle.timeouts().set_defaults(day).await?;
    /// # Ok(()) }) }
    /// ```
    pub fn set_defaults(&self, timeouts: impl Into<Timeouts>) -> RequestFuture<()> {
        timeout::set_defaults(self.lanes.clone(), timeouts.into())
    }
}
