//! What the next run must know if this one is killed: how many messages were only in memory, and up
//! to which time everything was reported. These are two numbers in a file, which are overwritten in
//! place. They survive the process, but maybe not a power failure, which the table does not survive
//! either.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Result;

const NAME: &str = "journal";
const WAITING_AT: u64 = 0;
const TOLD_AT: u64 = 8;

#[derive(Debug, Default)]
pub struct Journal {
    /// `None` without a directory.
    file: Option<File>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    count: u64,
    /// The number in the file. It is never too small, and it is exact if it is small.
    written: u64,
}

/// What an earlier run left there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// The maximum number of messages that were in memory.
    pub waiting: u64,
    /// Everything before this time was reported, in nanoseconds since 1970; `None` if there was no
    /// earlier run.
    pub told: Option<u64>,
}

/// A part of the messages in memory. When it is dropped, they are no longer counted.
#[derive(Debug)]
pub(super) struct Ticket {
    journal: Arc<Journal>,
    weight: u64,
}

impl Journal {
    pub(super) fn open(directory: &Path) -> Result<(Self, Left)> {
        let path = directory.join(NAME);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| format!("spool: {}: {error}", path.display()))?;
        let read = |at| {
            let mut bytes = [0; 8];
            let number = file.read_exact_at(&mut bytes, at);
            number.map_or(0, |()| u64::from_le_bytes(bytes))
        };
        let left = Left {
            waiting: read(WAITING_AT),
            told: Some(read(TOLD_AT)).filter(|told| *told > 0),
        };
        let waiting = Waiting {
            count: 0,
            written: left.waiting,
        };
        let journal = Self {
            file: Some(file),
            waiting: Mutex::new(waiting),
        };
        Ok((journal, left))
    }

    /// Everything that happened before `time` is delivered or waits.
    pub fn told(&self, time: u64) {
        self.write(TOLD_AT, time);
    }

    fn change(&self, change: impl FnOnce(&mut u64)) {
        let waiting = &mut *self.lock();
        change(&mut waiting.count);
        // If the number is large, a slightly larger one is written, so that not every message needs
        // a write.
        let (exact, above) = (waiting.count, waiting.count + waiting.count / 16);
        if waiting.written < exact || waiting.written > above + above / 16 {
            waiting.written = above;
            self.write(WAITING_AT, above);
        }
    }

    fn write(&self, at: u64, number: u64) {
        let Some(file) = &self.file else { return };
        if let Err(error) = file.write_all_at(&number.to_le_bytes(), at) {
            tracing::warn!(%error, "the spool's journal cannot be written to");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    pub(super) fn new(journal: &Arc<Journal>, weight: u64) -> Self {
        journal.change(|count| *count += weight);
        Self {
            journal: journal.clone(),
            weight,
        }
    }

    pub(super) fn weight(&self) -> u64 {
        self.weight
    }

    pub(super) fn grow(&mut self, weight: u64) {
        self.weight += weight;
        self.journal.change(|count| *count += weight);
    }

    /// These messages are lost. The next run reports them.
    pub(super) fn lose(mut self) {
        self.weight = 0;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let weight = self.weight;
        if weight > 0 {
            self.journal.change(|count| *count -= weight);
        }
    }
}
