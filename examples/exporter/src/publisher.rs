//! To JetStream: a message a parcel, and each has its ACK, or is sent again.

use std::collections::VecDeque;
use std::future::{Future, IntoFuture, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::{Context, ContextBuilder, PublishError};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::stream::{Config, DiscardPolicy};
use async_nats::{Client, ConnectOptions};
use tokio::sync::Notify;
use tokio::time::interval;

use crate::Result;
use crate::args::{PublishArgs, StreamArgs};
use crate::message::{Packer, Parcel, Reason, What};
use crate::spool::{Fill, Journal, Left, Spool, Waiting};

/// How long an ACK may take. All that waits is sent again after it.
const ACK_WITHIN: Duration = Duration::from_secs(5);
/// A server that answers to none of a few is gone, though its network says nothing.
const PING: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(200);
const RETRY: Duration = Duration::from_millis(500);

/// Where messages are left for the publisher. It never waits.
#[derive(Debug, Clone)]
pub struct Outbox(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    spool: Mutex<Option<Spool>>,
    filled: Notify,
    numbers: Numbers,
}

#[derive(Debug, Default)]
struct Numbers {
    acked: AtomicU64,
    duplicates: AtomicU64,
    resent: AtomicU64,
    lost: AtomicU64,
    bytes: AtomicU64,
    is_connected: AtomicBool,
}

/// What the publisher has done so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct PublisherStats {
    pub acked: u64,
    /// Of them, those that the server had already.
    pub duplicates: u64,
    /// Messages that were sent again, for their ACKs did not come.
    pub resent: u64,
    /// Messages that the spool had no room for.
    pub lost: u64,
    /// Bytes of acknowledged messages, without headers.
    pub bytes: u64,
    pub is_connected: bool,
    pub spool: Fill,
}

impl Outbox {
    pub fn new(spool: Spool) -> Self {
        Self(Arc::new(Shared {
            spool: Mutex::new(Some(spool)),
            filled: Notify::new(),
            numbers: Numbers::default(),
        }))
    }

    pub fn push(&self, parcel: Parcel, what: &What) {
        if let Some(spool) = &mut *self.lock() {
            match what {
                // The journal says that all is told once this waits: it must not be lost with what does.
                What::Overrun { .. } => spool.push_kept(parcel, what.weight()),
                _ => spool.push(parcel, what.weight()),
            }
        }
        self.0.filled.notify_one();
    }

    pub fn stats(&self) -> PublisherStats {
        let Numbers {
            acked,
            duplicates,
            resent,
            lost,
            bytes,
            is_connected,
        } = &self.0.numbers;
        PublisherStats {
            acked: acked.load(Relaxed),
            duplicates: duplicates.load(Relaxed),
            resent: resent.load(Relaxed),
            lost: lost.load(Relaxed),
            bytes: bytes.load(Relaxed),
            is_connected: is_connected.load(Relaxed),
            spool: self.lock().as_ref().map(Spool::fill).unwrap_or_default(),
        }
    }

    /// What an earlier run left to know, and where the next one learns of this.
    pub fn journal(&self) -> (Left, Arc<Journal>) {
        let spool = self.lock();
        let spool = spool.as_ref();
        spool
            .map(|spool| (spool.left(), spool.journal()))
            .unwrap_or_default()
    }

    /// Writes what waits to the disk; to be called when nothing is published any more.
    pub fn save(&self) {
        let lost = self.lock().take().map_or(0, Spool::save);
        if lost > 0 {
            tracing::warn!(lost, "messages were not delivered, and had no room on disk");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Spool>> {
        self.0.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the connection; it is made, and made again, in the background.
pub async fn connect(url: &str, args: &StreamArgs, name: &str) -> Result<Client> {
    let options = match &args.nats_credentials {
        Some(file) => ConnectOptions::with_credentials(&std::fs::read_to_string(file)?)?,
        None => ConnectOptions::new(),
    };
    let client = options
        .name(name)
        .retry_on_initial_connect()
        .ping_interval(PING)
        .reconnect_delay_callback(|attempts| Duration::from_millis(50 << attempts.min(5)))
        .connect(url)
        .await?;
    Ok(client)
}

type Ack = Pin<Box<dyn Future<Output = std::result::Result<PublishAck, PublishError>> + Send>>;

/// Sends what the outbox has, in order, for as long as it is polled.
pub struct Publisher {
    context: Context,
    outbox: Outbox,
    config: Config,
    packer: Packer,
    limit: usize,
    in_flight: VecDeque<(Waiting, Ack)>,
    /// Is nothing more to come?
    is_last: bool,
}

impl Publisher {
    /// `packer` makes the messages of what the spool lost.
    pub fn new(client: Client, outbox: Outbox, packer: Packer, args: &PublishArgs) -> Self {
        let limit = args.in_flight as usize;
        let context = ContextBuilder::new()
            .timeout(ACK_WITHIN)
            .max_ack_inflight(limit + 1)
            .build(client);
        let config = Config {
            name: args.stream.stream.clone(),
            subjects: vec!["conntrack.>".into()],
            max_bytes: args.stream_bytes,
            discard: DiscardPolicy::Old,
            duplicate_window: Duration::from_secs(args.duplicate_window),
            ..Config::default()
        };
        Self {
            context,
            outbox,
            config,
            packer,
            limit,
            in_flight: VecDeque::new(),
            is_last: false,
        }
    }

    /// Cancel-safe but for what is in flight: [`put_back`](Self::put_back) what that was.
    pub async fn run(&mut self) {
        loop {
            let failed = self.session().await;
            self.outbox.0.numbers.is_connected.store(false, Relaxed);
            self.outbox
                .0
                .numbers
                .resent
                .fetch_add(self.in_flight.len() as u64, Relaxed);
            self.put_back();
            tracing::warn!(error = %failed, "publishing stopped; it is tried again");
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Gives back to the spool what has no ACK yet.
    pub fn put_back(&mut self) {
        let undelivered = self.in_flight.drain(..).map(|(waiting, _)| waiting);
        if let Some(spool) = &mut *self.outbox.lock() {
            spool.put_back(undelivered);
        }
    }

    /// Delivers what is left, and ends; or fails, and ends.
    pub async fn drain(&mut self) {
        self.put_back();
        self.is_last = true;
        self.session().await;
    }

    fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.outbox.lock().as_ref().is_none_or(Spool::is_empty)
    }

    /// Sends until something fails.
    async fn session(&mut self) -> crate::Error {
        while self.context.client().connection_state() != State::Connected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if let Err(error) = self.context.get_or_create_stream(self.config.clone()).await {
            return error.into();
        }
        self.outbox.0.numbers.is_connected.store(true, Relaxed);
        let mut look = interval(LOOK);
        loop {
            if let Err(error) = self.fill().await {
                return error;
            }
            if self.is_last && self.is_idle() {
                return "all is delivered".into();
            }
            let outbox = self.outbox.clone();
            let has_room = self.in_flight.len() < self.limit;
            let oldest = async {
                match self.in_flight.front_mut() {
                    Some((_, ack)) => ack.await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                ack = oldest => match ack {
                    Ok(ack) => self.delivered(&ack),
                    Err(error) => return error.into(),
                },
                () = outbox.0.filled.notified(), if has_room => {}
                // Where nothing is sent, nothing else tells of it.
                _ = look.tick() => {
                    if self.context.client().connection_state() != State::Connected {
                        return "the connection is lost".into();
                    }
                }
            }
        }
    }

    async fn fill(&mut self) -> Result {
        while self.in_flight.len() < self.limit {
            let Some(waiting) = self.next()? else {
                return Ok(());
            };
            let parcel = &waiting.parcel;
            let message = PublishMessage::build()
                .payload(parcel.payload.clone())
                .message_id(&parcel.id);
            let subject = parcel.subject.clone();
            // In flight from now on, whatever becomes of it: it is put back where this fails or stops.
            self.in_flight.push_back((waiting, Box::pin(pending())));
            let ack = self.context.send_publish(subject, message).await?;
            if let Some((_, of_last)) = self.in_flight.back_mut() {
                *of_last = ack.into_future();
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Waiting>> {
        let mut spool = self.outbox.lock();
        let Some(spool) = &mut *spool else {
            return Ok(None);
        };
        let packer = &mut self.packer;
        let told = spool.take_lost(|lost| {
            self.outbox.0.numbers.lost.fetch_add(lost, Relaxed);
            packer.pack(&What::overrun(Reason::Spool, Some(lost)))
        })?;
        Ok(told.or_else(|| spool.pop()))
    }

    fn delivered(&mut self, ack: &PublishAck) {
        if let Some((waiting, _)) = self.in_flight.pop_front() {
            let numbers = &self.outbox.0.numbers;
            numbers.acked.fetch_add(1, Relaxed);
            numbers.duplicates.fetch_add(ack.duplicate.into(), Relaxed);
            numbers
                .bytes
                .fetch_add(waiting.parcel.payload.len() as u64, Relaxed);
        }
    }
}
