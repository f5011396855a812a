//! The source of a bulk request's items: an iterator or a stream, which is read as far as needed.

use std::fmt;
use std::pin::Pin;
use std::task::Poll;

use futures_core::Stream;

use crate::error::{Error, Result};
use crate::transport::job::Caller;

/// The items of a bulk request.
pub(crate) struct Source<T> {
    items: Items<T>,
    /// An iterator or stream that has ended is not polled again.
    ended: bool,
    /// The items must be used soon after they were taken.
    pub(super) is_urgent: bool,
    /// The first error that the stream gave in place of an item.
    pub(super) error: Option<Error>,
}

/// Appends up to this many items.
type Append<T> = dyn FnMut(usize, &mut Vec<T>) + Send;

enum Items<T> {
    /// The iterator's own code fills the vector, so that there is no dynamic call per item.
    Iter(Box<Append<T>>),
    Stream(Pin<Box<dyn Stream<Item = Result<T>> + Send>>),
}

impl<T> Source<T> {
    pub(crate) fn iter(mut items: impl Iterator<Item = T> + Send + 'static) -> Self {
        Self::new(Items::Iter(Box::new(move |room, taken| {
            taken.extend(items.by_ref().take(room));
        })))
    }

    pub(crate) fn stream(items: impl Stream<Item = Result<T>> + Send + 'static) -> Self {
        Self::new(Items::Stream(Box::pin(items)))
    }

    /// Items that describe a state which may change: each is used soon after it was taken.
    pub(crate) fn urgent(self) -> Self {
        Self {
            is_urgent: true,
            ..self
        }
    }

    fn new(items: Items<T>) -> Self {
        Self {
            items,
            ended: false,
            is_urgent: false,
            error: None,
        }
    }

    /// Takes up to `room` items. It waits only for the first one, so that no item is held back
    /// until later ones arrive. It takes none at the end, or if the caller was dropped.
    pub(crate) fn fill(&mut self, room: usize, caller: &mut Caller, taken: &mut Vec<T>) {
        taken.clear();
        if self.ended {
            return;
        }
        match &mut self.items {
            Items::Iter(append) => {
                append(room, taken);
                self.ended = taken.len() < room;
            }
            Items::Stream(items) => {
                let ended = caller.wait(|cx| {
                    while taken.len() < room {
                        match items.as_mut().poll_next(cx) {
                            Poll::Ready(Some(Ok(item))) => taken.push(item),
                            Poll::Ready(Some(Err(error))) => _ = self.error.get_or_insert(error),
                            Poll::Ready(None) => return Poll::Ready(true),
                            Poll::Pending if taken.is_empty() => return Poll::Pending,
                            Poll::Pending => break,
                        }
                    }
                    Poll::Ready(false)
                });
                self.ended = ended.unwrap_or(true);
            }
        }
    }
}

impl<T> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.items {
            Items::Iter(_) => "an iterator",
            Items::Stream(_) => "a stream",
        })
    }
}
