//! Records that wait for the collector. Their number is limited, and records without room are
//! counted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::message::{Packer, Reason, What, now};
use crate::pump::Output;

/// A queue of records for the sender. Adding to it never waits.
#[derive(Debug, Clone)]
pub struct Queue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Waiting>,
    limit: usize,
    filled: Notify,
    numbers: Numbers,
}

#[derive(Debug)]
struct Waiting {
    items: VecDeque<Item>,
    /// Lost records that were not reported yet.
    lost: u64,
    packer: Packer,
}

#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) seen: u64,
    pub(super) what: What,
}

#[derive(Debug, Default)]
pub(super) struct Numbers {
    pub(super) sent: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) refused: AtomicU64,
    lost: AtomicU64,
}

/// What has happened to the records so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct QueueStats {
    pub sent: u64,
    /// Bytes of accepted requests, without headers.
    pub bytes: u64,
    pub retries: u64,
    /// Records that the collector refused.
    pub refused: u64,
    /// Records that the queue had no room for.
    pub lost: u64,
    pub waiting: u64,
}

impl Queue {
    /// A queue of at most `limit` records. `packer` names them.
    pub fn new(packer: Packer, limit: usize) -> Self {
        Self(Arc::new(Shared {
            waiting: Mutex::new(Waiting {
                items: VecDeque::new(),
                lost: 0,
                packer,
            }),
            limit,
            filled: Notify::new(),
            numbers: Numbers::default(),
        }))
    }

    pub fn stats(&self) -> QueueStats {
        let numbers = &self.0.numbers;
        QueueStats {
            sent: numbers.sent.load(Relaxed),
            bytes: numbers.bytes.load(Relaxed),
            retries: numbers.retries.load(Relaxed),
            refused: numbers.refused.load(Relaxed),
            lost: numbers.lost.load(Relaxed),
            waiting: self.lock().items.len() as u64,
        }
    }

    pub(super) fn numbers(&self) -> &Numbers {
        &self.0.numbers
    }

    /// Reports records that were lost for another reason than missing room.
    pub(super) fn tell(&self, reason: Reason, lost: u64) {
        let waiting = &mut *self.lock();
        let what = What::overrun(reason, Some(lost));
        waiting.items.push_front(waiting.packer.item(what));
    }

    /// Takes the oldest records, with the loss in front of them.
    pub(super) fn take(&self, limit: usize) -> Vec<Item> {
        let waiting = &mut *self.lock();
        let mut items = Vec::new();
        let lost = std::mem::take(&mut waiting.lost);
        if lost > 0 {
            let what = What::overrun(Reason::Spool, Some(lost));
            items.push(waiting.packer.item(what));
        }
        let count = limit.min(waiting.items.len());
        items.extend(waiting.items.drain(..count));
        items
    }

    pub(super) fn len(&self) -> usize {
        self.lock().items.len()
    }

    /// Waits until a record was added since the last wait.
    pub(super) async fn filled(&self) {
        self.0.filled.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Output for Queue {
    fn take(&mut self, what: &What) {
        let waiting = &mut *self.lock();
        if waiting.items.len() < self.0.limit {
            let mut what = what.clone();
            if let What::Overrun { since, .. } = &mut what {
                // Records that waited here at the end of an earlier run were not sent, and their
                // age is unknown.
                *since = None;
            }
            let item = waiting.packer.item(what);
            waiting.items.push_back(item);
        } else {
            let weight = what.weight();
            waiting.lost += weight;
            self.0.numbers.lost.fetch_add(weight, Relaxed);
        }
        self.0.filled.notify_one();
    }
}

impl Packer {
    fn item(&mut self, what: What) -> Item {
        Item {
            id: self.id(&what),
            seen: now(),
            what,
        }
    }
}
