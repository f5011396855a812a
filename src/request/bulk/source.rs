//! Where the items of a bulk request come from: an iterator or a stream, taken as far as needed.

use std::fmt;
use std::pin::Pin;
use std::task::Poll;

use futures_core::Stream;

use crate::error::{Error, Result};
use crate::transport::bulk::Caller;

/// Items to come.
pub(crate) struct Source<T> {
    items: Items<T>,
    /// Nothing is asked of one that has ended.
    ended: bool,
    /// The first error that the stream gave in place of an item.
    pub(super) error: Option<Error>,
}

/// Appends items, up to so many.
type Append<T> = dyn FnMut(usize, &mut Vec<T>) + Send;

enum Items<T> {
    /// The iterator's own code fills the vector: no item passes through a call of ours.
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

    fn new(items: Items<T>) -> Self {
        Self {
            items,
            ended: false,
            error: None,
        }
    }

    /// Takes up to `room` items, and waits for the first alone: none is held back for those that
    /// are yet to come. Takes none at the end, and where the caller is gone.
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
