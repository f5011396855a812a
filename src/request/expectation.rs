//! Expectations: the verbs that name one expectation, and the flush.

mod create;
mod list;

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use create::create;
pub use list::ListExpectations;

use super::{RequestFuture, Task};
use crate::error::{Error, ErrorKind, Result};
use crate::expectation::{Expectation, ExpectationKey, TupleMask};
use crate::flow::accounting::check_seconds;
use crate::flow::helper::{HELPER_NAME, check_some_name};
use crate::transport::Lanes;
use crate::wire::message::Request;
use crate::wire::table::Context;
use crate::wire::uapi::*;

verbs! {
    GET = "expectation_get", "getting an expectation";
    UPDATE = "expectation_update", "updating an expectation";
    DELETE = "expectation_delete", "deleting an expectation";
    FLUSH = "expectation_flush", "flushing the expectations";
}

pub(crate) fn get(lanes: Arc<Lanes>, key: ExpectationKey) -> RequestFuture<Option<Expectation>> {
    let family = key.tuple().family();
    GET.run(lanes, Some(family), move |task| async move {
        find(&task, &key).await
    })
}

/// Sets the timeout, which is the only thing that the kernel changes.
pub(crate) fn update(
    lanes: Arc<Lanes>,
    key: ExpectationKey,
    timeout: Duration,
) -> RequestFuture<()> {
    let family = key.tuple().family();
    UPDATE.run(lanes, Some(family), move |task| async move {
        check_seconds("timeout", timeout)?;
        // The kernel ignores the id in an update, and finds the expectation by its mask.
        find(&task, &key).await?.ok_or_else(not_found)?;
        let updated = task.call(update_request(&key, timeout)).await;
        updated.map(drop).map_err(gone)
    })
}

pub(crate) fn delete(lanes: Arc<Lanes>, key: ExpectationKey) -> RequestFuture<()> {
    let family = key.tuple().family();
    DELETE.run(lanes, Some(family), move |task| async move {
        let key = match key.has_id() {
            true => key,
            // With the tuple alone, the kernel would also delete another expectation whose mask
            // matches it.
            false => {
                let found = find(&task, &key).await?.ok_or_else(not_found)?;
                key.with_id_of(&found)
            }
        };
        match task.call(delete_request(&key)).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                delete_by_tuple(&task, &key, error).await
            }
            deleted => deleted.map(drop).map_err(gone),
        }
    })
}

/// Kernels before 6.15 compare the id in a delete with another number than the one that they
/// report, unless their stable series has the fix. Then no expectation has that id. So the
/// expectation is looked up, and deleted by its tuple alone.
async fn delete_by_tuple(task: &Task, key: &ExpectationKey, error: Error) -> Result<()> {
    let tuple = key.without_id();
    match find(task, &tuple).await? {
        Some(found) if key.names(&found) => {
            let deleted = task.call(delete_request(&tuple)).await;
            deleted.map(drop).map_err(gone)
        }
        _ => Err(gone(error)),
    }
}

/// Awaiting it gives `()` once the expectations are gone. `.into_future()` gives the future itself,
/// for `tokio::spawn`, `block_on`, `join_all` and `FuturesUnordered`.
///
/// See [`Expectations::flush`](crate::Expectations::flush).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent before it is awaited"]
pub struct FlushExpectations {
    lanes: Arc<Lanes>,
    helper: Option<Box<str>>,
}

impl FlushExpectations {
    pub(crate) fn new(lanes: Arc<Lanes>) -> Self {
        Self {
            lanes,
            helper: None,
        }
    }

    /// Removes only the expectations whose master has this helper. `CTA_EXPECT_HELP_NAME`.
    pub fn helper(mut self, name: impl Into<Box<str>>) -> Self {
        self.helper = Some(name.into());
        self
    }
}

impl IntoFuture for FlushExpectations {
    type Output = Result<()>;
    type IntoFuture = RequestFuture<()>;

    fn into_future(self) -> RequestFuture<()> {
        let Self { lanes, helper } = self;
        FLUSH.run(lanes, None, move |task| async move {
            if let Some(name) = &helper {
                check_some_name("helper", name, HELPER_NAME)?;
            }
            task.flush(flush_request(helper)).await
        })
    }
}

/// Reads the expectation that the key names.
async fn find(task: &Task, key: &ExpectationKey) -> Result<Option<Expectation>> {
    let found = task.find(get_request(key), Expectation::decode).await?;
    Ok(found
        .filter(|found| key.names(found))
        .map(|found| key.in_zone(found)))
}

fn not_found() -> Error {
    gone(Error::not_found())
}

/// Explains what the errno means for a request that names an expectation.
fn gone(error: Error) -> Error {
    match error.errno() {
        Some(ENOENT) => error.meaning(
            ErrorKind::NotFound,
            "there is no such expectation: it was met, timed out, or ended with its master",
        ),
        Some(ETIME) => error.meaning(ErrorKind::NotFound, "the expectation is timing out"),
        _ => error,
    }
}

fn get_request(key: &ExpectationKey) -> Request {
    Request::new(IPCTNL_MSG_EXP_GET, 0, key.tuple().family().number()).with(|w| key.encode(w))
}

/// The request always has a whole tuple: without one, the kernel would flush.
fn delete_request(key: &ExpectationKey) -> Request {
    Request::new(IPCTNL_MSG_EXP_DELETE, 0, key.tuple().family().number()).with(|w| key.encode(w))
}

/// No flags: CREATE would create, and EXCL would refuse. The kernel requires a mask and a master,
/// and ignores both.
fn update_request(key: &ExpectationKey, timeout: Duration) -> Request {
    let cx = Context::default();
    Request::new(IPCTNL_MSG_EXP_NEW, 0, key.tuple().family().number()).with(|w| {
        Expectation::master.put(key.tuple(), &cx, w);
        Expectation::mask.put(&TupleMask::exact(key.tuple()), &cx, w);
        key.encode(w);
        Expectation::timeout.put(&timeout, &cx, w);
    })
}

fn flush_request(helper: Option<Box<str>>) -> Request {
    Request::new(IPCTNL_MSG_EXP_DELETE, 0, AF_UNSPEC)
        .with(|w| Expectation::helper.put_some(helper.as_ref(), w))
}

#[cfg(test)]
mod tests;
