//! The flows of many keys.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::{FusedStream, Stream};
use tokio::sync::mpsc;

use crate::error::Result;
use crate::flow::{Flow, FlowKey};
use crate::transport::Lanes;
use crate::transport::job::Job;

/// The number of windows that wait for the reader. The thread holds one more.
const AHEAD: usize = 1;

/// The answers to one send.
pub(crate) type Window = VecDeque<Result<(FlowKey, Option<Flow>)>>;

/// Keys with their flows, in the order of the keys: `None` for a flow that is not in the table.
///
/// The thread waits for the reader: it reads ahead by two sends of at most 64 keys each.
///
/// An `Err` item stands in the place of its key; the stream goes on.
///
/// # Cancellation
///
/// `next()` is cancel-safe. Dropping the stream ends the thread after the send in flight.
///
/// # Panics
///
/// Panics if the iterator or stream of the keys panics. It runs on the thread, and its panic is
/// passed on.
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct FoundStream {
    window: Window,
    windows: mpsc::Receiver<Window>,
    job: Option<Job<()>>,
    /// Keeps the connection open.
    _lanes: Arc<Lanes>,
}

impl FoundStream {
    pub(crate) fn channel() -> (mpsc::Sender<Window>, mpsc::Receiver<Window>) {
        mpsc::channel(AHEAD)
    }

    /// Waits for the first window, which is empty. So a thread that cannot begin fails the request,
    /// and is not an item.
    pub(crate) async fn open(
        lanes: Arc<Lanes>,
        job: Job<()>,
        mut windows: mpsc::Receiver<Window>,
    ) -> Result<Self> {
        let (window, job) = match windows.recv().await {
            Some(window) => (window, Some(job)),
            None => {
                job.await?;
                (Window::new(), None)
            }
        };
        Ok(Self {
            window,
            windows,
            job,
            _lanes: lanes,
        })
    }
}

impl Stream for FoundStream {
    type Item = Result<(FlowKey, Option<Flow>)>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(item) = this.window.pop_front() {
                return Poll::Ready(Some(item));
            }
            let Some(job) = &mut this.job else {
                return Poll::Ready(None);
            };
            match ready!(this.windows.poll_recv(cx)) {
                Some(window) => this.window = window,
                None => {
                    let result = ready!(Pin::new(job).poll(cx));
                    this.job = None;
                    if let Err(error) = result {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
            }
        }
    }
}

impl FusedStream for FoundStream {
    fn is_terminated(&self) -> bool {
        self.job.is_none() && self.window.is_empty()
    }
}
