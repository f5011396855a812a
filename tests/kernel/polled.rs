//! Polls a future a limited number of times.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// When to drop a future after its last poll.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Drop {
    /// When it waits again.
    Waiting,
    /// When it is woken again, so that it never sees the reason.
    Woken,
}

/// Polls `future` each time that it is woken, at most `polls` times. Returns its output if it
/// completed.
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
