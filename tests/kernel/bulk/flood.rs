//! Junk in the receive queue of a bulk, so that answers of the kernel have no room.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::forger::{Forger, drops, new_port, ports};

/// Pours junk into the receive queue of the only bulk of the namespace: of the next that begins.
pub(super) struct Flood {
    forger: Forger,
    others: BTreeSet<u32>,
    most: usize,
    lost: AtomicU64,
}

impl Flood {
    /// Of so many pieces, at the most, each time.
    pub(super) fn new(most: usize) -> Arc<Self> {
        let forger = Forger::new();
        Arc::new(Self {
            forger,
            others: ports(),
            most,
            lost: AtomicU64::new(0),
        })
    }

    /// Leaves room for so many answers.
    pub(super) fn but(answers: usize) -> Arc<Self> {
        Self::new(Forger::new().room() - answers)
    }

    pub(super) fn pour(&self) {
        let port = new_port(&self.others);
        self.lost.store(drops(port), Ordering::Relaxed);
        let junk = self.forger.junk(port, self.most);
        junk.expect("the right to send");
    }

    /// Pours until the bulk's socket is closed.
    pub(super) fn pour_for_ever(self: Arc<Self>) {
        let port = new_port(&self.others);
        thread::spawn(move || while self.forger.junk(port, self.most).is_ok() {});
    }

    /// Puts a datagram into the queue.
    pub(super) fn send(&self, datagram: &[u8]) {
        self.forger.send(new_port(&self.others), datagram);
    }

    /// How many answers had been lost when it last poured.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
