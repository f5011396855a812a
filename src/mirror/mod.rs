//! The mirror: a copy of the kernel's table in memory, which repairs itself and knows whether it is
//! complete.
//!
//! [`state`] contains all decisions and no sockets. [`Mirror`] connects it to the kernel. [`index`]
//! stores the flows, and [`MirrorReader`] reads them.

mod asking;
mod builder;
mod counts;
mod delta;
mod drain;
mod entry;
mod hash;
mod index;
mod learnt;
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
use crate::event::Event;
use crate::handle::ConntrackHandle;
use crate::stream::EventStream;
use asking::Asking;
use index::Index;
use listing::Listing;
use reader::View;
use settings::Settings;
use state::{State, secs};
use status::Status;

/// The number of events that are applied in a row before the list and the lookups get their turn.
const AT_ONCE: usize = 64;

/// How often the mirror looks for flows whose timeout has passed.
const TICK: Duration = Duration::from_secs(1);

/// A copy of the kernel's table in memory, kept up to date by events.
///
/// It begins to listen, then lists the table, and applies events meanwhile. When events are lost,
/// it reports that, lists the table again and applies the differences. If losses continue, it waits
/// between lists, 10 s at first and 60 s at most, and continues to apply events. It looks up each
/// flow whose timeout has passed, so that flows without events (`nf_conntrack_events`) are removed
/// too.
///
/// The mirror works only while it is polled: as a stream of its changes, [`Delta`], or by
/// [`run`](Self::run) if the changes are not needed. A mirror that is not polled falls behind, and
/// its [readers](Self::reader) report that.
///
/// # Errors
///
/// After most `Err` items the stream goes on. A list or a lookup that failed is tried again later.
/// After a message that does not decode ([`Decode`](ErrorKind::Decode)), the table is listed again.
/// If the socket of the events fails, or the [`Connection`](crate::Connection) is gone
/// ([`Closed`](ErrorKind::Closed)), that error is the last item.
///
/// # Cancellation
///
/// `next()` is cancel-safe. Dropping the mirror closes its sockets. Readers keep its last flows.
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct Mirror {
    handle: ConntrackHandle,
    events: EventStream,
    /// Events to apply.
    heard: Vec<Event>,
    state: State,
    listing: Listing,
    asking: Asking,
    errors: VecDeque<Error>,
    timer: Pin<Box<Sleep>>,
    /// In time of the mirror's clock.
    next_tick: Duration,
    view: Arc<View>,
    status: watch::Sender<Status>,
    version: watch::Sender<u64>,
    is_done: bool,
}

impl ConntrackHandle {
    /// Keeps a copy of the table in memory, up to date.
    ///
    /// It is `conntrack -L` and `conntrack -E` in one, and it also knows whether it is complete.
    /// See [`Mirror`] for how it works, and [`MirrorReader`] for reading it from any thread,
    /// without waiting.
    ///
    /// # Which flows
    ///
    /// With `net.netfilter.nf_conntrack_events` at 1, it follows all flows. At 2 (the default since
    /// Linux 5.19), flows that began before any program listened make no events, and at 0 no flow
    /// does. The mirror has the older flows too, from its list. It sees their changes when their
    /// timeout has passed, or as often as [`recheck`](MirrorBuilder::recheck) says. It does not see
    /// new flows that make no events. Set it to 1 at boot.
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
            worked: AtomicU32::new(0),
            gauge: events.gauge(),
            reported: AtomicU32::new(events.reported()),
            is_behind: AtomicBool::new(true),
        };
        Self {
            handle,
            events,
            heard: Vec::new(),
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

    /// Returns a reader, for other tasks and threads. There can be any number.
    pub fn reader(&self) -> MirrorReader {
        MirrorReader::new(
            self.view.clone(),
            self.handle.clone(),
            self.status.subscribe(),
            self.version.subscribe(),
        )
    }

    /// What has happened to the mirror so far.
    pub fn stats(&self) -> MirrorStats {
        self.state.stats
    }

    /// Keeps the mirror up to date without deltas. This saves a copy of the flow for each change.
    ///
    /// # Errors
    ///
    /// The future completes only with an error that ends the mirror: the socket of the events
    /// failed, or the [`Connection`](crate::Connection) is gone. Other errors are logged, and the
    /// failed step is tried again.
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

    /// Does a part of the work. Returns whether there is more to do at once.
    fn poll_work(&mut self, cx: &mut Context<'_>) -> bool {
        self.view.is_behind.store(true, Ordering::SeqCst);
        let mut is_busy = self.poll_events(cx);
        is_busy |= self.poll_list(cx);
        is_busy |= self.poll_answers(cx);
        is_busy |= self.poll_timer(cx);
        self.publish();
        is_busy
    }

    fn poll_events(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.now();
        self.view.worked.store(secs(now), Ordering::Relaxed);
        let mut end = Poll::Pending;
        while self.heard.len() < AT_ONCE {
            self.heard.push(Event::blank());
            let Some(event) = self.heard.last_mut() else {
                break;
            };
            match self.events.poll_next_into(cx, event) {
                Poll::Ready(Some(Ok(()))) => {}
                other => {
                    self.heard.pop();
                    end = other;
                    break;
                }
            }
        }
        let is_full = self.heard.len() == AT_ONCE;
        self.state.events(&mut self.heard, now);
        match end {
            Poll::Pending => return is_full,
            Poll::Ready(Some(Err(error))) if error.kind() == ErrorKind::Decode => {
                self.state.undecoded(now);
                self.errors.push_back(error);
            }
            Poll::Ready(Some(Err(error))) => self.ends(error),
            Poll::Ready(_) => self.is_done = true,
        }
        true
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.now();
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.state.tick(now);
            if let Some(queue) = self.view.gauge.queue() {
                if queue.drops != self.events.reported() {
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

    /// Reports a failure. The mirror goes on, unless the connection is closed.
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

    /// Publishes the state for the readers. [`is_synced`](MirrorReader::is_synced) depends on the
    /// order of these steps.
    fn publish(&mut self) {
        let status = match self.is_done {
            false => self.state.status(),
            true => self.state.status().with_lost(0, self.now()),
        };
        self.status.send_if_modified(|shown| {
            let is_new = *shown != status;
            *shown = status;
            is_new
        });
        self.view
            .reported
            .store(self.events.reported(), Ordering::SeqCst);
        if self.events.is_drained() && !self.state.has_questions() {
            self.view.is_behind.store(false, Ordering::SeqCst);
        }
        // A reader that has just seen that the mirror was behind waits for this, too.
        self.version.send_modify(|version| *version += 1);
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
