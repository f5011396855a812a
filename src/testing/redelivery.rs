//! Repeats events that a reliable listener had no room for. Events of a live flow are merged into
//! its next event. A flow that ends stays in the dying table until its end is delivered.

use std::time::Duration;

use super::entry::{Changed, Entry, Kind};
use super::machine::Machine;

/// The delay before an end event is sent again, and the delay before each later try.
const FIRST: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_millis(10);

/// A flow that has ended, and the port of the program that ended it.
#[derive(Debug)]
pub(super) struct Dying {
    pub(super) flow: Entry,
    cause: u32,
}

impl Kind {
    /// The kind of an event that contains an earlier event too.
    pub(super) fn with(self, missed: Self) -> Self {
        match (self, missed) {
            (Self::Destroy, _) => Self::Destroy,
            (Self::Related, _) | (_, Self::Related) => Self::Related,
            (Self::New, _) | (_, Self::New) => Self::New,
            _ => Self::Update,
        }
    }
}

impl Changed {
    pub(super) fn or(self, missed: Self) -> Self {
        Self {
            protoinfo: self.protoinfo || missed.protoinfo,
            labels: self.labels || missed.labels,
            rest: self.rest || missed.rest,
        }
    }
}

impl Machine {
    /// Stores the events of a flow that could not be delivered, or clears them.
    pub(super) fn note(&mut self, flow: &Entry, missed: Option<(Kind, Changed)>, cause: u32) {
        let own = self.table.number_of(flow.id);
        if let Some(own) = own.and_then(|number| self.table.get_mut(number)) {
            own.missed = missed;
        } else if let Some((Kind::Destroy, _)) = missed {
            let flow = flow.clone();
            self.dying.push(Dying { flow, cause });
            let due = self.clock + FIRST;
            self.redelivery.get_or_insert(due);
        }
    }

    /// Sends the due end events again, until one finds no room.
    pub(super) fn redeliver(&mut self) {
        if self.redelivery.is_none_or(|due| due > self.clock) {
            return;
        }
        self.redelivery = None;
        while !self.dying.is_empty() {
            let Dying { flow, cause } = self.dying.remove(0);
            let before = self.dying.len();
            self.event(
                &flow,
                (Kind::Destroy, super::entry::EVERYTHING),
                cause,
                false,
            );
            if self.dying.len() > before {
                // Move it back to the front.
                self.dying.rotate_right(1);
                self.redelivery = Some(self.clock + AGAIN);
                return;
            }
        }
    }
}
