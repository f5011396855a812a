//! Messages that wait for the server: in memory, then in files. If there is no room, they are
//! counted as lost. Adding a message never waits.

mod disk;
mod journal;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use crate::Result;
use crate::message::Parcel;
use disk::{Disk, Segment};
use journal::Ticket;
pub use journal::{Journal, Left};

/// A parcel that is not delivered yet. It is dropped after its delivery.
#[derive(Debug)]
pub struct Waiting {
    pub parcel: Parcel,
    held: Held,
}

#[derive(Debug)]
enum Held {
    /// A file contains a copy.
    File(Arc<Segment>),
    Memory(Ticket),
}

/// A first-in, first-out queue with limits for memory and disk.
#[derive(Debug)]
pub struct Spool {
    memory: VecDeque<Waiting>,
    bytes: usize,
    limit: usize,
    disk: Option<Disk>,
    journal: Arc<Journal>,
    left: Left,
    /// Lost messages that were not reported yet.
    lost: Ticket,
}

/// How full the spool is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fill {
    pub memory_bytes: usize,
    pub disk_bytes: u64,
}

impl Spool {
    /// Opens a spool with `limit` bytes in memory, and optionally a directory with a limit. The
    /// files of an earlier run are included.
    ///
    /// # Errors
    ///
    /// The directory cannot be made, or read.
    pub fn open(limit: usize, directory: Option<(&Path, u64)>) -> Result<Self> {
        let disk = directory.map(|(path, limit)| Disk::open(path, limit));
        let disk = disk.transpose()?;
        let (journal, left) = match directory {
            Some((path, _)) => Journal::open(path)?,
            None => (Journal::default(), Left::default()),
        };
        let journal = Arc::new(journal);
        Ok(Self {
            memory: VecDeque::new(),
            bytes: 0,
            limit,
            disk,
            lost: Ticket::new(&journal, left.waiting),
            journal,
            left,
        })
    }

    /// Adds a parcel. `weight` is the loss if there is no room for it.
    pub fn push(&mut self, parcel: Parcel, weight: u64) {
        // If messages wait on disk, those in memory are older, and this one is the newest.
        let is_on_disk = self.disk.as_ref().is_some_and(|disk| !disk.is_empty());
        if !is_on_disk && self.bytes + size(&parcel) <= self.limit {
            self.bytes += size(&parcel);
            let held = Held::Memory(Ticket::new(&self.journal, weight));
            self.memory.push_back(Waiting { parcel, held });
            return;
        }
        self.append(parcel, weight);
    }

    /// [`push`](Self::push), but on disk if there is a directory, so that the parcel survives if
    /// the program is killed.
    pub fn push_kept(&mut self, parcel: Parcel, weight: u64) {
        match self.disk {
            Some(_) => self.append(parcel, weight),
            None => self.push(parcel, weight),
        }
    }

    fn append(&mut self, parcel: Parcel, weight: u64) {
        let kept = self.disk.as_mut().map(|disk| disk.append(&parcel));
        match kept {
            Some(Ok(true)) => {}
            Some(Err(error)) => {
                tracing::warn!(%error, "the spool's directory cannot be written to");
                self.lost.grow(weight);
            }
            Some(Ok(false)) | None => self.lost.grow(weight),
        }
    }

    /// Takes the oldest parcel.
    pub fn pop(&mut self) -> Option<Waiting> {
        if self.memory.is_empty() {
            self.load();
        }
        let waiting = self.memory.pop_front()?;
        self.bytes -= size(&waiting.parcel);
        Some(waiting)
    }

    /// Puts back parcels that were not delivered, in order. They always have room.
    pub fn put_back(&mut self, undelivered: impl DoubleEndedIterator<Item = Waiting>) {
        for waiting in undelivered.rev() {
            self.bytes += size(&waiting.parcel);
            self.memory.push_front(waiting);
        }
    }

    /// Makes one message about all losses since the last call; `None` if there were none.
    ///
    /// # Errors
    ///
    /// The message cannot be made.
    pub fn take_lost(
        &mut self,
        pack: impl FnOnce(u64) -> Result<Parcel>,
    ) -> Result<Option<Waiting>> {
        if self.lost.weight() == 0 {
            return Ok(None);
        }
        let parcel = pack(self.lost.weight())?;
        let lost = std::mem::replace(&mut self.lost, Ticket::new(&self.journal, 0));
        let held = Held::Memory(lost);
        Ok(Some(Waiting { parcel, held }))
    }

    /// What an earlier run left in the directory, besides its messages.
    pub fn left(&self) -> Left {
        self.left
    }

    /// The journal, which tells the next run about this one.
    pub fn journal(&self) -> Arc<Journal> {
        self.journal.clone()
    }

    pub fn is_empty(&self) -> bool {
        self.memory.is_empty() && self.disk.as_ref().is_none_or(Disk::is_empty)
    }

    pub fn fill(&self) -> Fill {
        Fill {
            memory_bytes: self.bytes,
            disk_bytes: self.disk.as_ref().map_or(0, Disk::bytes),
        }
    }

    /// Writes the messages in memory to the directory, for the next run. Returns the number of
    /// messages that are lost because there is no directory or no room.
    pub fn save(mut self) -> u64 {
        for Waiting { parcel, held } in self.memory.drain(..) {
            match held {
                Held::File(segment) => segment.keep(),
                Held::Memory(ticket) => {
                    let kept = self.disk.as_mut().map(|disk| disk.append(&parcel));
                    if !matches!(kept, Some(Ok(true))) {
                        self.lost.grow(ticket.weight());
                    }
                }
            }
        }
        let lost = self.lost.weight();
        self.lost.lose();
        lost
    }

    fn load(&mut self) {
        while let Some(disk) = self.disk.as_mut().filter(|disk| !disk.is_empty()) {
            match disk.take() {
                Ok((parcels, segment, damaged)) => {
                    self.lost.grow(damaged);
                    self.bytes += parcels.iter().map(size).sum::<usize>();
                    let held = parcels.into_iter().map(|parcel| Waiting {
                        parcel,
                        held: Held::File(segment.clone()),
                    });
                    self.memory.extend(held);
                }
                Err(error) => {
                    tracing::warn!(%error, "a file of the spool cannot be read");
                    self.lost.grow(1);
                }
            }
            if !self.memory.is_empty() {
                return;
            }
        }
    }
}

/// The approximate size of a parcel in memory.
fn size(parcel: &Parcel) -> usize {
    parcel.subject.len() + parcel.id.len() + parcel.payload.len() + size_of::<Waiting>()
}

#[cfg(test)]
mod tests;
