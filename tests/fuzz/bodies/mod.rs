//! The code of each fuzz target. The test `replay` runs it on the corpus.

// Each fuzz target uses only one of the modules.
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

/// Runs the body on a paused clock, which moves only when no task can run.
fn run<F: Future<Output = ()>>(body: F) {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime").block_on(body);
}

/// A handle with a short request timeout. On a busy machine, even an answered request may time out.
async fn hasty(kernel: &Kernel) -> ConntrackHandle {
    let options = Options::new().kernel(kernel);
    let options = options.request_timeout(Duration::from_millis(3));
    options.connect().await.expect("a connection")
}

async fn list(handle: &ConntrackHandle) -> ctnetlink::Result<Vec<Flow>> {
    handle.list(Table::Conntrack).await?.try_collect().await
}

/// Writes the value with `Display`, with the alternate flag, and with `Debug`.
fn shown(it: &(impl Display + Debug)) {
    assert!(!format!("{it}{it:#}{it:?}").is_empty());
}

/// A value that is serialized and read again is equal.
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
