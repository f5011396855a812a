//! The files of a spool, with one parcel per line. The oldest file is read first. A file is deleted
//! after all its parcels are delivered.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;

use crate::Result;
use crate::message::Parcel;

/// The maximum size of a file. A file is read as a whole, so this limits the memory too.
const SEGMENT: u64 = 4 << 20;
const SUFFIX: &str = "spool";

#[derive(Debug)]
pub(super) struct Disk {
    directory: PathBuf,
    limit: u64,
    /// The size of all files, including those that were taken and are not delivered yet.
    used: Arc<AtomicU64>,
    /// Complete files, oldest first, with their sizes.
    full: VecDeque<(PathBuf, u64)>,
    open: Option<Open>,
    next: u64,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    bytes: u64,
}

/// A file that was taken. It is deleted when its last parcel is dropped, after its delivery.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    bytes: u64,
    used: Arc<AtomicU64>,
    is_kept: AtomicBool,
}

impl Disk {
    pub(super) fn open(directory: &Path, limit: u64) -> Result<Self> {
        fs::create_dir_all(directory)
            .map_err(|error| format!("spool: {}: {error}", directory.display()))?;
        let mut found = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let path = entry.path();
            let number = path
                .file_stem()
                .and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            if let (Some(number), true) = (number, path.extension().is_some_and(|e| e == SUFFIX)) {
                found.push((number, path, entry.metadata()?.len()));
            }
        }
        found.sort();
        let next = found.last().map_or(0, |(number, ..)| number + 1);
        let used = found.iter().map(|(.., bytes)| bytes).sum();
        Ok(Self {
            directory: directory.to_owned(),
            limit,
            used: Arc::new(AtomicU64::new(used)),
            full: found
                .into_iter()
                .map(|(_, path, bytes)| (path, bytes))
                .collect(),
            open: None,
            next,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.full.is_empty() && self.open.is_none()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Appends a parcel. Returns `false` if there is no room. A subject or an id has no tabs, and
    /// JSON has neither tabs nor line ends.
    pub(super) fn append(&mut self, parcel: &Parcel) -> std::io::Result<bool> {
        let bytes = (parcel.subject.len() + parcel.id.len() + parcel.payload.len() + 3) as u64;
        if self.bytes() + bytes > self.limit {
            return Ok(false);
        }
        let open = match &mut self.open {
            Some(open) => open,
            none => {
                let path = self.directory.join(format!("{:016}.{SUFFIX}", self.next));
                self.next += 1;
                let file = File::create(&path)?;
                none.insert(Open {
                    path,
                    file,
                    bytes: 0,
                })
            }
        };
        let mut line = Vec::with_capacity(parcel.payload.len() + 256);
        write!(line, "{}\t{}\t", parcel.subject, parcel.id)?;
        line.extend_from_slice(&parcel.payload);
        line.push(b'\n');
        // One write for the whole line, so that it is complete even if the program is killed.
        open.file.write_all(&line)?;
        open.bytes += bytes;
        self.used.fetch_add(bytes, Ordering::Relaxed);
        if open.bytes >= SEGMENT {
            self.close();
        }
        Ok(true)
    }

    /// The parcels of the oldest file, and the number of its damaged lines.
    pub(super) fn take(&mut self) -> std::io::Result<(Vec<Parcel>, Arc<Segment>, u64)> {
        if self.full.is_empty() {
            self.close();
        }
        let Some((path, bytes)) = self.full.pop_front() else {
            return Err(std::io::ErrorKind::NotFound.into());
        };
        let segment = Arc::new(Segment {
            bytes,
            used: self.used.clone(),
            is_kept: AtomicBool::new(false),
            path,
        });
        let mut parcels = Vec::new();
        let mut damaged = 0;
        for line in BufReader::new(File::open(&segment.path)?).split(b'\n') {
            match parcel(&line?) {
                Some(parcel) => parcels.push(parcel),
                None => damaged += 1,
            }
        }
        Ok((parcels, segment, damaged))
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            self.full.push_back((open.path, open.bytes));
        }
    }
}

impl Segment {
    pub(super) fn keep(&self) {
        self.is_kept.store(true, Ordering::Relaxed);
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if *self.is_kept.get_mut() {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "a spooled file cannot be deleted");
        }
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// If the machine failed, the last line may be cut off. Its JSON is then not complete.
fn parcel(line: &[u8]) -> Option<Parcel> {
    let mut parts = line.splitn(3, |byte| *byte == b'\t');
    let subject = str::from_utf8(parts.next()?).ok()?.to_owned();
    let id = str::from_utf8(parts.next()?).ok()?.to_owned();
    let payload = Bytes::copy_from_slice(parts.next()?);
    payload.ends_with(b"}").then_some(())?;
    serde_json::from_slice::<serde::de::IgnoredAny>(&payload).ok()?;
    Some(Parcel {
        subject,
        id,
        payload,
    })
}
