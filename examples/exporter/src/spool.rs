//! What waits for the server: in memory, then in files, then counted as lost. It never waits itself.

mod disk;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use crate::Result;
use crate::message::Parcel;
use disk::{Disk, Segment};

/// A parcel, and the file that holds a copy of it until the parcel is delivered.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub parcel: Parcel,
    segment: Option<Arc<Segment>>,
}

impl Waiting {
    pub fn new(parcel: Parcel) -> Self {
        Self {
            parcel,
            segment: None,
        }
    }
}

/// A queue, first in, first out, that is bounded in memory and on disk.
#[derive(Debug)]
pub struct Spool {
    memory: VecDeque<Waiting>,
    bytes: usize,
    limit: usize,
    disk: Option<Disk>,
    lost: u64,
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
        Ok(Self {
            memory: VecDeque::new(),
            bytes: 0,
            limit,
            disk: disk.transpose()?,
            lost: 0,
        })
    }

    /// Takes a parcel in. `weight` is how much is lost if there is no room for it.
    pub fn push(&mut self, parcel: Parcel, weight: u64) {
        // What waits on disk is older, and goes first.
        let is_on_disk = self.disk.as_ref().is_some_and(|disk| !disk.is_empty());
        if !is_on_disk && self.bytes + size(&parcel) <= self.limit {
            self.bytes += size(&parcel);
            self.memory.push_back(Waiting {
                parcel,
                segment: None,
            });
            return;
        }
        let kept = self.disk.as_mut().map(|disk| disk.append(&parcel));
        match kept {
            Some(Ok(true)) => {}
            Some(Err(error)) => {
                tracing::warn!(%error, "the spool's directory cannot be written to");
                self.lost += weight;
            }
            Some(Ok(false)) | None => self.lost += weight,
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

    /// Takes the number of those that were lost since it was last asked.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
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
        let mut lost = self.lost;
        for waiting in self.memory.drain(..) {
            // The file has a copy.
            if let Some(segment) = waiting.segment {
                segment.keep();
                continue;
            }
            let kept = self.disk.as_mut().map(|disk| disk.append(&waiting.parcel));
            lost += u64::from(!matches!(kept, Some(Ok(true))));
        }
        if let Some(Err(error)) = self.disk.as_mut().map(Disk::flush) {
            tracing::warn!(%error, "the spool's directory cannot be written to");
        }
        lost
    }

    fn load(&mut self) {
        while let Some(disk) = self.disk.as_mut().filter(|disk| !disk.is_empty()) {
            match disk.take() {
                Ok((parcels, segment, damaged)) => {
                    self.lost += damaged;
                    self.bytes += parcels.iter().map(size).sum::<usize>();
                    let held = parcels.into_iter().map(|parcel| Waiting {
                        parcel,
                        segment: Some(segment.clone()),
                    });
                    self.memory.extend(held);
                }
                Err(error) => {
                    tracing::warn!(%error, "a file of the spool cannot be read");
                    self.lost += 1;
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
