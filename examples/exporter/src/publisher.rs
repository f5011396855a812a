//! Publishes to JetStream. Each message gets an ACK, or is sent again.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream;
use async_nats::jetstream::stream::{Config, DiscardPolicy};
use async_nats::{Client, ConnectOptions, HeaderMap};
use tokio::sync::Notify;
use tokio::time::{Instant, interval, timeout};

use crate::Result;
use crate::acks::{Ack, Acks};
use crate::args::{PublishArgs, StreamArgs};
use crate::message::{Packer, Parcel, Reason, What};
use crate::spool::{Fill, Journal, Left, Spool, Waiting};

/// How long an ACK may take. After that, all messages without an ACK are sent again.
const ACK_WITHIN: Duration = Duration::from_secs(5);
/// The interval of pings. A server that answers none of a few is gone, even without a network
/// error.
const PING: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(200);
/// The number of answers that are handled before more is sent.
const AT_ONCE: usize = 256;
const RETRY: Duration = Duration::from_millis(500);

/// A queue of messages for the publisher. Adding to it never waits.
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
    /// How many of them the server had already.
    pub duplicates: u64,
    /// Messages that were sent again because their ACKs did not come.
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
                // When this message waits, the journal is updated. So it must survive if the
                // program is killed.
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

    /// What an earlier run has left, and the journal for the next run.
    pub fn journal(&self) -> (Left, Arc<Journal>) {
        let spool = self.lock();
        let spool = spool.as_ref();
        spool
            .map(|spool| (spool.left(), spool.journal()))
            .unwrap_or_default()
    }

    /// Writes the waiting messages to the disk. Call it when nothing more is published.
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

/// A message that is sent.
struct Sent {
    waiting: Waiting,
    /// After the answer: did the server have it already?
    duplicate: Option<bool>,
}

/// Sends the messages of the outbox in order, while it is polled.
pub struct Publisher {
    client: Client,
    outbox: Outbox,
    config: Config,
    packer: Packer,
    limit: usize,
    /// The messages in flight, the oldest first.
    in_flight: VecDeque<Sent>,
    /// The number of the oldest message in flight, in this session.
    first: u64,
    /// Will no more messages come?
    is_last: bool,
}

impl Publisher {
    /// `packer` makes the messages about losses of the spool.
    pub fn new(client: Client, outbox: Outbox, packer: Packer, args: &PublishArgs) -> Self {
        let limit = args.in_flight as usize;
        let config = Config {
            name: args.stream.stream.clone(),
            subjects: vec!["conntrack.>".into()],
            max_bytes: args.stream_bytes,
            discard: DiscardPolicy::Old,
            duplicate_window: Duration::from_secs(args.duplicate_window),
            ..Config::default()
        };
        Self {
            client,
            outbox,
            config,
            packer,
            limit,
            in_flight: VecDeque::new(),
            first: 0,
            is_last: false,
        }
    }

    /// Cancel-safe, except for messages in flight: call [`put_back`](Self::put_back) for them.
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
            tracing::warn!(error = %failed, "publishing failed; trying again");
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Returns messages without an ACK to the spool.
    pub fn put_back(&mut self) {
        let undelivered = self.in_flight.drain(..).map(|sent| sent.waiting);
        if let Some(spool) = &mut *self.outbox.lock() {
            spool.put_back(undelivered);
        }
    }

    /// Delivers the remaining messages. It ends when they are delivered, or when it fails.
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
        match self.try_session().await {
            Ok(()) => "all is delivered".into(),
            Err(error) => error,
        }
    }

    async fn try_session(&mut self) -> Result {
        while self.client.connection_state() != State::Connected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let context = jetstream::new(self.client.clone());
        context.get_or_create_stream(self.config.clone()).await?;
        let mut acks = Acks::open(&self.client).await?;
        self.first = 0;
        self.outbox.0.numbers.is_connected.store(true, Relaxed);
        let mut look = interval(LOOK);
        let (mut oldest, mut since) = (self.first, Instant::now());
        loop {
            let filled = timeout(ACK_WITHIN, self.fill(&mut acks)).await;
            filled.map_err(|_| "the connection takes no messages")??;
            if self.is_last && self.is_idle() {
                return Ok(());
            }
            let outbox = self.outbox.clone();
            let has_room = self.in_flight.len() < self.limit;
            tokio::select! {
                biased;
                ack = acks.next() => {
                    self.delivered(ack?);
                    // Handle as many answers as there are, because each turn of the loop takes a
                    // lock.
                    for _ in 1..AT_ONCE {
                        let Some(ack) = acks.ready() else { break };
                        self.delivered(ack?);
                    }
                }
                () = outbox.0.filled.notified(), if has_room => {}
                // If nothing is sent, only this notices a lost connection.
                _ = look.tick() => {
                    if self.client.connection_state() != State::Connected {
                        return Err("the connection is lost".into());
                    }
                    if self.in_flight.is_empty() || self.first != oldest {
                        (oldest, since) = (self.first, Instant::now());
                    }
                    if since.elapsed() > ACK_WITHIN {
                        return Err("the server does not answer".into());
                    }
                }
            }
        }
    }

    async fn fill(&mut self, acks: &mut Acks) -> Result {
        while self.in_flight.len() < self.limit {
            let Some(waiting) = self.next()? else {
                return Ok(());
            };
            let parcel = &waiting.parcel;
            let mut headers = HeaderMap::new();
            headers.insert(NATS_MESSAGE_ID, parcel.id.as_str());
            let (subject, payload) = (parcel.subject.clone(), parcel.payload.clone());
            // It is in flight from now on, so it is put back if this fails or stops.
            self.in_flight.push_back(Sent {
                waiting,
                duplicate: None,
            });
            self.client
                .publish_with_reply_and_headers(subject, acks.reply(), headers, payload)
                .await?;
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

    fn delivered(&mut self, Ack { number, duplicate }: Ack) {
        let at = number.checked_sub(self.first);
        let sent = at.and_then(|at| self.in_flight.get_mut(usize::try_from(at).ok()?));
        if let Some(sent) = sent {
            sent.duplicate = Some(duplicate);
        }
        // The server answers in order, except for messages that it had already.
        let numbers = &self.outbox.0.numbers;
        let is_answered = |sent: &Sent| sent.duplicate.is_some();
        while self.in_flight.front().is_some_and(is_answered)
            && let Some(sent) = self.in_flight.pop_front()
        {
            self.first += 1;
            let bytes = sent.waiting.parcel.payload.len() as u64;
            numbers.acked.fetch_add(1, Relaxed);
            numbers
                .duplicates
                .fetch_add((sent.duplicate == Some(true)).into(), Relaxed);
            numbers.bytes.fetch_add(bytes, Relaxed);
        }
    }
}
