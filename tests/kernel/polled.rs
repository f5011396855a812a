//! Polls a future a limited number of times.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// When a future is dropped that has been polled as often as it may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Drop {
    /// As soon as it waits again.
    Waiting,
    /// As soon as there is news for it, which it never sees.
    Woken,
}

/// Polls `future` each time that it is woken, `polls` times at most; its output, if that was
/// enough.
pub(crate) async fn polled<F: Future>(
    future: F,
    mut polls: usize,
    drop: Drop,
) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        match (future.as_mut().poll(cx), drop) {
            (Poll::Ready(output), _) => Poll::Ready(Some(output)),
            (Poll::Pending, Drop::Waiting) if polls == 0 => Poll::Ready(None),
            (Poll::Pending, _) => Poll::Pending,
        }
    })
    .await
}
