//! Where the items of a bulk request come from: an iterator or a stream, taken as far as needed.

use std::fmt;
use std::pin::Pin;
use std::task::Poll;

use futures_core::Stream;

use crate::transport::bulk::Caller;

/// Items to come.
pub(crate) struct Source<T> {
    items: Items<T>,
    /// Nothing is asked of one that has ended.
    ended: bool,
}

enum Items<T> {
    Iter(Box<dyn Iterator<Item = T> + Send>),
    Stream(Pin<Box<dyn Stream<Item = T> + Send>>),
}

impl<T> Source<T> {
    pub(crate) fn iter(items: impl Iterator<Item = T> + Send + 'static) -> Self {
        Self {
            items: Items::Iter(Box::new(items)),
            ended: false,
        }
    }

    pub(crate) fn stream(items: impl Stream<Item = T> + Send + 'static) -> Self {
        Self {
            items: Items::Stream(Box::pin(items)),
            ended: false,
        }
    }

    /// Takes up to `room` items, and waits for the first alone: none is held back for those that
    /// are yet to come. Says how many: none at the end, and where the caller is gone.
    pub(crate) fn fill(
        &mut self,
        room: usize,
        caller: &mut Caller,
        mut sink: impl FnMut(T),
    ) -> usize {
        if self.ended {
            return 0;
        }
        let mut taken = 0;
        match &mut self.items {
            Items::Iter(items) => {
                for item in items.take(room) {
                    sink(item);
                    taken += 1;
                }
                self.ended = taken < room;
            }
            Items::Stream(items) => {
                let ended = caller.wait(|cx| {
                    while taken < room {
                        match items.as_mut().poll_next(cx) {
                            Poll::Ready(Some(item)) => {
                                sink(item);
                                taken += 1;
                            }
                            Poll::Ready(None) => return Poll::Ready(true),
                            Poll::Pending if taken == 0 => return Poll::Pending,
                            Poll::Pending => break,
                        }
                    }
                    Poll::Ready(false)
                });
                self.ended = ended.unwrap_or(true);
            }
        }
        taken
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
