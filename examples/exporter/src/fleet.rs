//! Questions about all nodes, answered from what they have published.

mod answer;
mod top;

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use futures_util::StreamExt;
use time::OffsetDateTime;
use tokio::time::{Instant, interval_at};

use crate::Result;
use crate::args::FleetArgs;
use crate::message::Message;
use crate::publisher::connect;
use answer::Answer;

/// How often a sum is printed again while more messages come.
const AGAIN: Duration = Duration::from_secs(5);

/// The number of messages that are remembered to recognize repeated ones. An exporter repeats only
/// messages that were in flight, at most a few thousand, and soon after the first time.
const REMEMBERED: usize = 1 << 20;

/// Prints the answer; with `follow` until the program is stopped.
pub async fn fleet(args: FleetArgs) -> Result {
    let mut answer = Answer::new(&args.question)?;
    let client = connect(&args.nats, &args.stream, "fleet").await?;
    let context = jetstream::new(client);
    let stream = context.get_stream(&args.stream.stream).await?;
    let config = OrderedConfig {
        deliver_policy: DeliverPolicy::ByStartTime {
            start_time: OffsetDateTime::now_utc() - Duration::from_secs(args.since),
        },
        filter_subject: answer.subject().into(),
        ..OrderedConfig::default()
    };
    let consumer = stream.create_consumer(config).await?;
    let mut is_current = consumer.cached_info().num_pending == 0;
    let mut messages = consumer.messages().await?;
    let mut seen = Seen::default();
    let mut again = interval_at(Instant::now() + AGAIN, AGAIN);
    while args.follow || !is_current {
        let message = tokio::select! {
            message = messages.next() => message.ok_or("the stream has ended")??,
            _ = again.tick(), if is_current => {
                answer.sum();
                continue;
            }
        };
        is_current = message.info()?.pending == 0;
        let id = message
            .headers
            .as_ref()
            .and_then(|headers| headers.get(NATS_MESSAGE_ID));
        if id.is_some_and(|id| !seen.is_new(id.as_str())) {
            continue;
        }
        match serde_json::from_slice::<Message>(&message.payload) {
            Ok(read) => answer.take(read, &message.payload),
            Err(error) => {
                tracing::warn!(%error, subject = %message.subject, "a message of another program")
            }
        }
    }
    answer.sum();
    Ok(())
}

/// The recent messages.
#[derive(Default)]
struct Seen {
    hasher: RandomState,
    ids: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Seen {
    fn is_new(&mut self, id: &str) -> bool {
        let id = self.hasher.hash_one(id);
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}
