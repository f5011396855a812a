//! The verbs of helpers in user space.

use std::sync::Arc;

use crate::request::{RequestFuture, user_helper};
use crate::transport::Lanes;
use crate::user_helper::{UserHelper, UserHelperKey};

/// A handle to the helpers in user space: see
/// [`ConntrackHandle::user_helpers`](crate::ConntrackHandle::user_helpers).
///
/// They belong to the machine, not to a network namespace. The errors of every verb are those of
/// [`ConntrackHandle`](crate::ConntrackHandle), and
///
/// - [`Unsupported`](crate::ErrorKind::Unsupported) if the kernel has no helpers in user space
///   (module `nfnetlink_cthelper`);
/// - [`PermissionDenied`](crate::ErrorKind::PermissionDenied) without `CAP_NET_ADMIN` in the
///   *initial* user namespace: root of a container does not have it.
#[derive(Debug, Clone)]
pub struct UserHelpers {
    lanes: Arc<Lanes>,
}

impl UserHelpers {
    pub(crate) fn new(lanes: Arc<Lanes>) -> Self {
        Self { lanes }
    }

    /// Lists the helpers in user space, without the kernel's own helpers.
    ///
    /// `nfct list helper`; `NFNL_MSG_CTHELPER_GET` (Linux 3.6) as a dump. There are few of them, so
    /// they come all at once.
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
    /// use ctnetlink::ErrorKind;
    ///
    /// match handle.user_helpers().list().await {
    ///     Ok(helpers) => println!("{helpers:?}"),
    ///     Err(error) if error.kind() == ErrorKind::Unsupported => println!("{error}"),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok(()) }) }
    /// ```
    pub fn list(&self) -> RequestFuture<Vec<UserHelper>> {
        user_helper::list(self.lanes.clone())
    }

    /// Gets one helper; `None` if there is none of that name for those protocols.
    ///
    /// `nfct get helper`; `NFNL_MSG_CTHELPER_GET`.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput), and nothing is sent, for an invalid name:
    /// an empty one, or one of more than 15 bytes.
    ///
    /// # Cancellation
    ///
    /// Dropping the future discards the answer.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::{ErrorKind, Family, Protocol, UserHelperKey};
    ///
    /// let key = UserHelperKey::new("ftp", Family::Ipv4, Protocol::TCP);
    /// match handle.user_helpers().get(key).await {
    ///     Ok(helper) => println!("{helper:?}"),
    ///     Err(error) if error.kind() == ErrorKind::Unsupported => println!("{error}"),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok(()) }) }
    /// ```
    pub fn get(&self, key: impl Into<UserHelperKey>) -> RequestFuture<Option<UserHelper>> {
        user_helper::get(self.lanes.clone(), key.into())
    }

    /// Creates a helper, and never changes an existing one.
    ///
    /// `nfct add helper`; `NFNL_MSG_CTHELPER_NEW`. From then on rules can assign it to flows, and
    /// their packets go to its queue.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), and nothing is sent, for a value out of
    ///   range: see [`UserHelper`];
    /// - [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if there is such a helper;
    /// - [`Busy`](crate::ErrorKind::Busy) if a helper of the kernel has that name; on Linux 5.10,
    ///   it is `AlreadyExists`.
    ///
    /// # Cancellation
    ///
    /// Dropping the future may leave the helper created.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use std::time::Duration;
    /// use ctnetlink::{ErrorKind, ExpectationPolicy, Family, Protocol, UserHelper};
    ///
    /// let data = ExpectationPolicy::new("data", 1, Duration::from_secs(300));
    /// let helper = UserHelper::new("ftp-x", Family::Ipv4, Protocol::TCP, [data]).queue(1);
    /// match handle.user_helpers().create(helper).await {
    ///     Err(error) if error.kind() == ErrorKind::Unsupported => println!("{error}"),
    ///     Ok(()) => handle.user_helpers().flush().await?,
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok(()) }) }
    /// ```
    pub fn create(&self, helper: UserHelper) -> RequestFuture<()> {
        user_helper::create(self.lanes.clone(), helper)
    }

    /// Sets the queue, the state and the numbers in the policies of a helper.
    ///
    /// `nfct disable helper`, and more than nfct(8) can. `NFNL_MSG_CTHELPER_GET` and
    /// `NFNL_MSG_CTHELPER_NEW`: the kernel would create a missing helper, so it is looked up first.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), in the cases of
    ///   [`create`](Self::create);
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such helper;
    /// - [`Busy`](crate::ErrorKind::Busy) if the policies differ in number or names, or the room
    ///   for private data differs: these cannot change.
    ///
    /// # Cancellation
    ///
    /// Dropping the future may leave the helper changed.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use std::time::Duration;
    /// use ctnetlink::{ErrorKind, ExpectationPolicy, Family, Protocol, UserHelper};
    ///
    /// let data = ExpectationPolicy::new("data", 1, Duration::from_secs(300));
    /// let helper = UserHelper::new("ftp-x", Family::Ipv4, Protocol::TCP, [data]).queue(1);
    /// match handle.user_helpers().update(helper.enabled(false)).await {
    ///     Err(error) if error.kind() == ErrorKind::Unsupported => println!("{error}"),
    ///     Err(error) if error.is_not_found() => println!("there is none"),
    ///     updated => updated?,
    /// }
    /// # Ok(()) }) }
    /// ```
    pub fn update(&self, helper: UserHelper) -> RequestFuture<()> {
        user_helper::update(self.lanes.clone(), helper)
    }

    /// Deletes one helper.
    ///
    /// `nfct delete helper`; `NFNL_MSG_CTHELPER_DEL`. Flows lose their helper. It has its own
    /// socket and thread, in which the kernel walks its tables.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput), and nothing is sent, for an invalid
    ///   name;
    /// - [`NotFound`](crate::ErrorKind::NotFound) if there is no such helper;
    /// - [`Busy`](crate::ErrorKind::Busy) if a rule uses it (before Linux 7.3).
    ///
    /// # Cancellation
    ///
    /// Dropping the future may leave the helper deleted.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::{ErrorKind, Family, Protocol, UserHelperKey};
    ///
    /// let key = UserHelperKey::new("ftp-x", Family::Ipv4, Protocol::TCP);
    /// match handle.user_helpers().delete(key).await {
    ///     Err(error) if error.kind() == ErrorKind::Unsupported => println!("{error}"),
    ///     Err(error) if error.is_not_found() => println!("there is none"),
    ///     deleted => deleted?,
    /// }
    /// # Ok(()) }) }
    /// ```
    pub fn delete(&self, key: impl Into<UserHelperKey>) -> RequestFuture<()> {
        user_helper::delete(self.lanes.clone(), key.into())
    }

    /// Deletes all helpers in user space that no rule uses.
    ///
    /// `nfct flush helper`; `NFNL_MSG_CTHELPER_DEL` without a name. Helpers that a rule uses stay,
    /// and the kernel reports that only if nothing was deleted. Linux 7.3 deletes them too. Flows
    /// lose their helper. It has its own socket and thread, in which the kernel walks its tables.
    ///
    /// # Errors
    ///
    /// Those of [`delete`](Self::delete), if rules use all of them.
    ///
    /// # Cancellation
    ///
    /// Dropping the future may leave the helpers deleted.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::ErrorKind;
    ///
    /// match handle.user_helpers().flush().await {
    ///     Err(error) if error.kind() == ErrorKind::Unsupported => println!("{error}"),
    ///     flushed => flushed?,
    /// }
    /// # Ok(()) }) }
    /// ```
    pub fn flush(&self) -> RequestFuture<()> {
        user_helper::flush(self.lanes.clone())
    }
}
