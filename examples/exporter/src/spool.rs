//! What waits for the server: in memory, then in files, then counted as lost. It never waits itself.

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

/// A parcel, and what says that it is not delivered yet: dropped when it is.
#[derive(Debug)]
pub struct Waiting {
    pub parcel: Parcel,
    held: Held,
}

#[derive(Debug)]
enum Held {
    /// The file has a copy.
    File(Arc<Segment>),
    Memory(Ticket),
}

/// A queue, first in, first out, that is bounded in memory and on disk.
#[derive(Debug)]
pub struct Spool {
    memory: VecDeque<Waiting>,
    bytes: usize,
    limit: usize,
    disk: Option<Disk>,
    journal: Arc<Journal>,
    left: Left,
    /// Those that nobody was told of yet.
    lost: Ticket,
}

/// How full it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fill {
    pub memory_bytes: usize,
    pub disk_bytes: u64,
}

impl Spool {
    /// `limit` bytes in memory; and so many in a directory, with what an earlier run has left there.
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

    /// Takes a parcel in. `weight` is how much is lost if there is no room for it.
    pub fn push(&mut self, parcel: Parcel, weight: u64) {
        // Where some wait on disk, those in memory go first, and this one has to go last.
        let is_on_disk = self.disk.as_ref().is_some_and(|disk| !disk.is_empty());
        if !is_on_disk && self.bytes + size(&parcel) <= self.limit {
            self.bytes += size(&parcel);
            let held = Held::Memory(Ticket::new(&self.journal, weight));
            self.memory.push_back(Waiting { parcel, held });
            return;
        }
        self.append(parcel, weight);
    }

    /// The same, and a run that is killed keeps it, where there is a directory.
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

    /// The oldest.
    pub fn pop(&mut self) -> Option<Waiting> {
        if self.memory.is_empty() {
            self.load();
        }
        let waiting = self.memory.pop_front()?;
        self.bytes -= size(&waiting.parcel);
        Some(waiting)
    }

    /// Puts back what was not delivered, in its order; there is always room for that.
    pub fn put_back(&mut self, undelivered: impl DoubleEndedIterator<Item = Waiting>) {
        for waiting in undelivered.rev() {
            self.bytes += size(&waiting.parcel);
            self.memory.push_front(waiting);
        }
    }

    /// Makes one message of those that were lost since it was last asked; `None` where none was.
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

    /// What an earlier run left in the directory, beside its messages.
    pub fn left(&self) -> Left {
        self.left
    }

    /// Where the next run learns of this one.
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

    /// Writes what is in memory to the directory, for the next run; gives the number of those that
    /// are lost for want of one, or of room in it.
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

/// What a parcel takes in memory, nearly.
fn size(parcel: &Parcel) -> usize {
    parcel.subject.len() + parcel.id.len() + parcel.payload.len() + size_of::<Waiting>()
}

#[cfg(test)]
mod tests;
