//! The mirror: the kernel's table in memory, which heals itself and knows whether it is whole.
//!
//! [`state`] decides and has no sockets; [`Mirror`] carries between it and the kernel; [`index`] holds
//! the flows, and [`MirrorReader`] shows them.

mod asking;
mod builder;
mod counts;
mod delta;
mod drain;
mod entry;
mod hash;
mod index;
mod listing;
mod merge;
mod reader;
mod run;
mod schedule;
mod settings;
mod slab;
mod state;
mod stats;
mod status;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::{FusedStream, Stream};
use tokio::sync::watch;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, Sleep, sleep_until};

pub use builder::{MirrorBuilder, OpenMirror};
pub use counts::Counts;
pub use delta::{Delta, RemovalCause, SyncCause};
pub use reader::{MirrorChanged, MirrorFlows, MirrorReader, MirrorSynced};
pub use run::RunMirror;
pub use stats::MirrorStats;
pub use status::MirrorState;

use crate::error::{Error, ErrorKind, Result};
use crate::handle::ConntrackHandle;
use crate::stream::EventStream;
use asking::Asking;
use index::Index;
use listing::Listing;
use reader::View;
use settings::Settings;
use state::State;
use status::Status;

/// So many events are applied in a row before the list and the questions have a turn.
const AT_ONCE: usize = 64;

/// How often the mirror looks for flows whose time has passed.
const TICK: Duration = Duration::from_secs(1);

/// The kernel's table in memory, kept up to date by its events.
///
/// It listens first and lists the table then, and applies events while it does. Where events are lost
/// it says so, lists the table again and finds the differences in place; where the losses go on, it
/// waits between lists, 10 s at first and 60 s at the most, and goes on applying what comes. Flows
/// whose time has passed are asked for one by one: those that make no events
/// (`nf_conntrack_events`), too, have an end.
///
/// The mirror lives in whoever polls it: as a stream of its changes, [`Delta`], or by
/// [`run`](Self::run) for who wants none of them. One that is not polled falls behind, and its
/// [readers](Self::reader) say so.
///
/// # Errors
///
/// An `Err` item is told and the stream goes on: a list or a get that failed, and is tried again
/// later; a message that does not decode ([`Decode`](ErrorKind::Decode)), after which the table is
/// listed again. Where the socket of the events fails, or the
/// [`Connection`](crate::Connection) is gone ([`Closed`](ErrorKind::Closed)), that is the last item.
///
/// # Cancellation
///
/// `next()` is cancel-safe. Dropping the mirror closes its sockets; readers keep what it had.
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Mirror {
    handle: ConntrackHandle,
    events: EventStream,
    state: State,
    listing: Listing,
    asking: Asking,
    errors: VecDeque<Error>,
    timer: Pin<Box<Sleep>>,
    /// On the mirror's clock.
    next_tick: Duration,
    view: Arc<View>,
    status: watch::Sender<Status>,
    version: watch::Sender<u64>,
    is_done: bool,
}

impl ConntrackHandle {
    /// Keeps the table in memory, up to date.
    ///
    /// `conntrack -L` and `conntrack -E` in one, and what neither can say: whether it is whole. See
    /// [`Mirror`] for how, and [`MirrorReader`] for what can be asked of it, from any thread and
    /// without waiting.
    ///
    /// # Which flows
    ///
    /// With `net.netfilter.nf_conntrack_events` at 1, all; at 2 (the default from Linux 5.19 on),
    /// those that began before anybody listened make no events, and at 0 none does. The mirror has
    /// these too, from its list; changes of them are seen when their time has passed, or as
    /// [`recheck`](MirrorBuilder::recheck) says, and new ones that make no events not at all. Set it
    /// to 1 at boot.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](ErrorKind::PermissionDenied) without `CAP_NET_ADMIN`.
    ///
    /// # Cancellation
    ///
    /// Dropping the future or the mirror closes its sockets.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use std::time::Duration;
    /// use ctnetlink::{FlowKey, NewFlow, Tuple};
    ///
    /// let tuple = Tuple::udp("10.0.0.1:5000".parse()?, "10.0.0.2:53".parse()?)?;
    /// handle.create(NewFlow::new(tuple, Duration::from_secs(60))).await?;
    ///
    /// let mirror = handle.mirror().await?;
    /// let reader = mirror.reader();
    /// tokio::spawn(mirror.run());
    ///
    /// reader.synced().await?;
    /// if let Some(flow) = reader.get(FlowKey::reply(tuple.inverse())) {
    ///     println!("{flow}");
    ///     # assert_eq!(flow.orig, tuple);
    /// }
    /// # assert_eq!(reader.len(), 1);
    /// # Ok(()) }) }
    /// ```
    ///
    /// The changes, as they come:
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use ctnetlink::{Delta, Filter};
    /// use futures::TryStreamExt;
    ///
    /// let dns = Filter::builder().protocol(17).orig_dst_port(53).build()?;
    /// let mut mirror = handle.mirror().filter(dns).await?;
    /// while let Some(delta) = mirror.try_next().await? {
    ///     match delta {
    ///         Delta::Added(flow) => println!("began: {flow}"),
    ///         Delta::Updated { after, .. } => println!("changed: {after}"),
    ///         Delta::Removed { flow, cause } => println!("ended ({cause:?}): {flow}"),
    ///         Delta::Synced { flows, .. } => {
    ///             println!("in sync, with {flows} flows");
    ///             # break;
    ///         }
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(()) }) }
    /// ```
    pub fn mirror(&self) -> MirrorBuilder {
        MirrorBuilder::new(self.clone())
    }
}

impl Mirror {
    fn new(handle: ConntrackHandle, events: EventStream, settings: Settings) -> Self {
        let index = Arc::new(Index::new());
        let state = State::new(index.clone(), settings);
        let epoch = Instant::now();
        let view = View {
            index,
            epoch,
            gauge: events.gauge(),
            told: AtomicU32::new(events.told()),
            is_behind: AtomicBool::new(true),
        };
        Self {
            handle,
            events,
            listing: Listing::Rest,
            asking: Asking::default(),
            errors: VecDeque::new(),
            timer: Box::pin(sleep_until(epoch)),
            next_tick: TICK,
            view: Arc::new(view),
            status: watch::Sender::new(state.status()),
            version: watch::Sender::new(0),
            is_done: false,
            state,
        }
    }

    /// A reader of it: for other tasks and threads, as many as are wanted.
    pub fn reader(&self) -> MirrorReader {
        MirrorReader::new(
            self.view.clone(),
            self.handle.clone(),
            self.status.subscribe(),
            self.version.subscribe(),
        )
    }

    /// What happened to it so far.
    pub fn stats(&self) -> MirrorStats {
        self.state.stats
    }

    /// Keeps it up to date, and makes no deltas: they cost each change a copy of its flow.
    ///
    /// # Errors
    ///
    /// It ends with an error alone, one that ends the mirror: the socket of the events failed, or the
    /// [`Connection`](crate::Connection) is gone. Others are lines of tracing, and what failed is
    /// tried again.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the mirror.
    pub fn run(mut self) -> RunMirror {
        self.state.mute();
        RunMirror::new(self)
    }

    fn now(&self) -> Duration {
        self.view.epoch.elapsed()
    }

    /// Does a part of what there is to do. Is there more?
    fn poll_work(&mut self, cx: &mut Context<'_>) -> bool {
        self.view.is_behind.store(true, Ordering::SeqCst);
        let before = self.work_done();
        let mut is_busy = self.poll_events(cx);
        is_busy |= self.poll_list(cx);
        is_busy |= self.poll_answers(cx);
        is_busy |= self.poll_timer(cx);
        self.publish(before);
        is_busy
    }

    fn poll_events(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.now();
        for _ in 0..AT_ONCE {
            match Pin::new(&mut self.events).poll_next(cx) {
                Poll::Ready(Some(Ok(event))) => self.state.event(event, now),
                Poll::Ready(Some(Err(error))) if error.kind() == ErrorKind::Decode => {
                    self.state.undecoded(now);
                    self.errors.push_back(error);
                    return true;
                }
                Poll::Ready(Some(Err(error))) => {
                    self.ends(error);
                    return true;
                }
                Poll::Ready(None) => {
                    self.is_done = true;
                    return true;
                }
                Poll::Pending => return false,
            }
        }
        true
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.now();
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.state.tick(now);
            if let Some(queue) = self.view.gauge.queue() {
                if queue.drops != self.events.told() {
                    self.events.look();
                }
            }
        }
        let mut next = self.next_tick;
        if self.listing.is_at_rest() {
            if let Some(due) = self.state.schedule.due() {
                if due <= now {
                    self.begin_list(now);
                    return true;
                }
                next = next.min(due);
            }
        }
        if self.asking.is_due(now) && self.ask() {
            return true;
        }
        let deadline = self.view.epoch + next;
        if self.timer.deadline() != deadline {
            self.timer.as_mut().reset(deadline);
        }
        self.timer.as_mut().poll(cx).is_ready()
    }

    /// Something failed; the mirror goes on, unless nothing can be asked any more.
    fn failed(&mut self, error: Error) {
        if error.kind() == ErrorKind::Closed {
            return self.ends(error);
        }
        self.errors.push_back(error);
    }

    fn ends(&mut self, error: Error) {
        self.errors.push_back(error);
        self.is_done = true;
    }

    /// Grows with whatever changes.
    fn work_done(&self) -> u64 {
        let stats = &self.state.stats;
        stats.events + stats.syncs + stats.asked + stats.swept + self.listing.seen()
    }

    /// Shows the readers where it is at, in the order that
    /// [`is_synced`](MirrorReader::is_synced) hangs on.
    fn publish(&mut self, before: u64) {
        let status = match self.is_done {
            false => self.state.status(),
            true => self.state.status().with_lost(0, self.now()),
        };
        self.status.send_if_modified(|shown| {
            let is_new = *shown != status;
            *shown = status;
            is_new
        });
        self.view.told.store(self.events.told(), Ordering::SeqCst);
        if self.events.is_drained() && !self.state.has_questions() {
            self.view.is_behind.store(false, Ordering::SeqCst);
        }
        if self.work_done() != before {
            self.version.send_modify(|version| *version += 1);
        }
    }
}

impl Stream for Mirror {
    type Item = Result<Delta>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Delta>>> {
        let this = self.get_mut();
        loop {
            if let Some(delta) = this.state.next_delta() {
                return Poll::Ready(Some(Ok(delta)));
            }
            if let Some(error) = this.errors.pop_front() {
                return Poll::Ready(Some(Err(error)));
            }
            if this.is_done {
                return Poll::Ready(None);
            }
            ready!(pin!(consume_budget()).poll(cx));
            let is_busy = this.poll_work(cx);
            let has_item = this.state.has_delta() || !this.errors.is_empty();
            if !is_busy && !has_item && !this.is_done {
                return Poll::Pending;
            }
        }
    }
}

impl FusedStream for Mirror {
    fn is_terminated(&self) -> bool {
        self.is_done && self.errors.is_empty() && !self.state.has_delta()
    }
}
