//! Turns the mirror's changes into numbers and messages.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ctnetlink::{Delta, Flow, MirrorStats, RemovalCause};

use crate::args::By;
use crate::class::Class;
use crate::message::{Cause, Packer, Reason, What};
use crate::publisher::Outbox;
use crate::ranking::{Part, Ranking};

/// The numbers that the pump has counted.
#[derive(Debug, Default)]
pub struct Numbers {
    pub mirror: MirrorStats,
    pub flows: BTreeMap<Class, u64>,
    pub removed: BTreeMap<&'static str, u64>,
    pub rankings: Vec<(By, Ranking<Part>)>,
    pub last_sync: Option<Duration>,
}

/// The numbers, shared with the outputs.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<Mutex<Numbers>>);

impl Shared {
    pub fn new(rankings: impl IntoIterator<Item = By>) -> Self {
        let rankings = rankings
            .into_iter()
            .map(|by| (by, Ranking::default()))
            .collect();
        Self(Arc::new(Mutex::new(Numbers {
            rankings,
            ..Numbers::default()
        })))
    }

    pub fn lock(&self) -> MutexGuard<'_, Numbers> {
        // The numbers are valid even after a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A receiver of messages.
pub trait Output: Send {
    fn take(&mut self, what: &What);
}

/// The messages that are wanted besides those about ends and gaps.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    pub begin: bool,
    pub change: bool,
}

/// Takes the mirror's changes.
pub struct Pump {
    pub shared: Shared,
    outputs: Vec<Box<dyn Output>>,
    wanted: Wanted,
    /// The statistics at the last report of gaps.
    told: MirrorStats,
    sync_began: Option<Instant>,
    /// The flows of the first list began earlier.
    has_synced: bool,
    /// The time up to which an earlier run has reported everything.
    since: Option<u64>,
}

impl Pump {
    pub fn new(
        shared: Shared,
        outputs: Vec<Box<dyn Output>>,
        wanted: Wanted,
        since: Option<u64>,
    ) -> Self {
        Self {
            shared,
            outputs,
            wanted,
            told: MirrorStats::default(),
            sync_began: None,
            has_synced: false,
            since,
        }
    }

    /// Handles a change. `stats` are the mirror's statistics after it.
    pub fn take(&mut self, delta: Delta, stats: MirrorStats) {
        self.notice(stats);
        match delta {
            Delta::Added(flow) => {
                self.count(None, Some(&flow));
                if self.wanted.begin && self.has_synced {
                    self.send(&What::Begin { flow });
                }
            }
            Delta::Updated { before, after } => {
                self.count(Some(&before), Some(&after));
                if self.wanted.change {
                    self.send(&What::Change { flow: after });
                }
            }
            Delta::Removed { flow, cause } => {
                self.count(Some(&flow), None);
                *self.shared.lock().removed.entry(name(cause)).or_default() += 1;
                if let Some(cause) = Cause::of(cause) {
                    self.send(&What::End { cause, flow });
                }
            }
            Delta::SyncStarted { .. } => self.sync_began = Some(Instant::now()),
            Delta::Synced { .. } => {
                if !self.has_synced {
                    self.has_synced = true;
                    // Not earlier, because a flow that ended during the first list may not have
                    // been in it.
                    self.send(&What::Overrun {
                        reason: Reason::Start,
                        lost: None,
                        since: self.since,
                    });
                }
                let took = self.sync_began.take().map(|began| began.elapsed());
                self.shared.lock().last_sync = took;
            }
            _ => {}
        }
    }

    /// Reports losses, before the changes that follow them.
    pub fn notice(&mut self, stats: MirrorStats) {
        let gaps = stats.overruns > self.told.overruns;
        let lost = stats.lost - self.told.lost;
        self.told = stats;
        self.shared.lock().mirror = stats;
        if gaps || lost > 0 {
            let lost = Some(lost).filter(|lost| *lost > 0);
            self.send(&What::overrun(Reason::Kernel, lost));
        }
    }

    fn send(&mut self, what: &What) {
        for output in &mut self.outputs {
            output.take(what);
        }
    }

    fn count(&self, before: Option<&Flow>, after: Option<&Flow>) {
        let mut numbers = self.shared.lock();
        let (old, new) = (before.map(Class::of), after.map(Class::of));
        if old != new {
            if let Some(class) = old {
                let count = numbers.flows.entry(class).or_default();
                *count = count.saturating_sub(1);
            }
            if let Some(class) = new {
                *numbers.flows.entry(class).or_default() += 1;
            }
        }
        for (by, ranking) in &mut numbers.rankings {
            let (old, new) = (
                before.and_then(|flow| by.of(flow)),
                after.and_then(|flow| by.of(flow)),
            );
            if old != new {
                old.into_iter().for_each(|part| ranking.sub(part));
                new.into_iter().for_each(|part| ranking.add(part));
            }
        }
    }
}

/// Messages for the server.
pub struct ToServer {
    pub packer: Packer,
    pub outbox: Outbox,
}

impl Output for ToServer {
    fn take(&mut self, what: &What) {
        match self.packer.pack(what) {
            Ok(parcel) => self.outbox.push(parcel, what),
            Err(error) => tracing::error!(%error, "a message cannot be made"),
        }
    }
}

fn name(cause: RemovalCause) -> &'static str {
    Cause::of(cause).map_or("unmatched", Cause::as_str)
}
