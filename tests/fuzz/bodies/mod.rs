//! The code of each fuzz target. The test `replay` runs it on the inputs that are kept.

// Each target is one of them.
#![allow(dead_code)]

pub(crate) mod events;
pub(crate) mod filters;
pub(crate) mod labels;
pub(crate) mod lane;
pub(crate) mod messages;
pub(crate) mod mirror;
pub(crate) mod script;

use std::fmt::{Debug, Display};
use std::future::Future;
use std::time::Duration;

use ctnetlink::testing::Kernel;
use ctnetlink::{ConntrackHandle, Flow, Options, Table};
use futures::TryStreamExt;
use tokio::runtime::Builder;

/// Runs it on a clock that stands still while there is something to do.
fn run<F: Future<Output = ()>>(body: F) {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime").block_on(body);
}

/// A handle that gives up soon where no answer comes. On a busy machine it may give up where one does.
async fn hasty(kernel: &Kernel) -> ConntrackHandle {
    let options = Options::new().kernel(kernel);
    let options = options.request_timeout(Duration::from_millis(3));
    options.connect().await.expect("a connection")
}

async fn list(handle: &ConntrackHandle) -> ctnetlink::Result<Vec<Flow>> {
    handle.list(Table::Conntrack).await?.try_collect().await
}

/// In words: short, long, and for programmers.
fn shown(it: &(impl Display + Debug)) {
    assert!(!format!("{it}{it:#}{it:?}").is_empty());
}

/// What is serialized can be read again, and is the same.
#[cfg(feature = "serde")]
fn kept<T>(it: &T)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug,
{
    let text = serde_json::to_string(it).expect("JSON");
    let read: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(&read, it, "{text}");
    let bytes = postcard::to_allocvec(it).expect("bytes");
    let read: T = postcard::from_bytes(&bytes).unwrap_or_else(|error| panic!("{error}: {it:?}"));
    assert_eq!(&read, it, "{bytes:02x?}");
}

#[cfg(not(feature = "serde"))]
fn kept<T>(_: &T) {}
