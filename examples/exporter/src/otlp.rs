//! Sends to an OpenTelemetry collector, as OTLP over HTTP: a log record for the end of each flow,
//! and the metrics.

mod client;
mod metrics;
pub mod names;
mod queue;
mod record;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::Result;
use crate::message::{Reason, What, now};
use crate::metrics::Source;
use client::Client;
use queue::Item;
pub use queue::{Queue, QueueStats};
use record::{attribute, record, text};

/// Records in one request.
const BATCH: usize = 1000;
/// How long a request waits for more records.
const LINGER: Duration = Duration::from_millis(200);
const RETRY: Duration = Duration::from_millis(250);
const RETRY_LIMIT: Duration = Duration::from_secs(10);

/// Sends the records of the queue in order, while it is polled.
pub struct Sender {
    client: Client,
    queue: Queue,
    resource: Resource,
    /// Records that were taken from the queue and not delivered yet.
    batch: Vec<Item>,
}

impl Sender {
    /// # Errors
    ///
    /// `url` is not an HTTP address.
    pub fn new(url: &str, node: &str, queue: Queue) -> Result<Self> {
        Ok(Self {
            client: Client::new(url)?,
            queue,
            resource: resource(node),
            batch: Vec::new(),
        })
    }

    /// Cancel-safe: records that were not delivered are left for [`drain`](Self::drain).
    pub async fn run(&mut self) {
        loop {
            if self.queue.len() == 0 {
                self.queue.filled().await;
            }
            if self.queue.len() < BATCH {
                sleep(LINGER).await;
            }
            self.next().await;
        }
    }

    /// Delivers the remaining records.
    pub async fn drain(&mut self) {
        while !self.batch.is_empty() || self.queue.len() > 0 {
            self.next().await;
        }
    }

    /// The number of records that are not delivered.
    pub fn left(&self) -> usize {
        self.batch.len() + self.queue.len()
    }

    async fn next(&mut self) {
        if self.batch.is_empty() {
            self.batch = self.queue.take(BATCH);
        }
        if !self.batch.is_empty() {
            self.deliver().await;
            self.batch.clear();
        }
    }

    /// Tries until the collector accepts or refuses the batch.
    async fn deliver(&mut self) {
        let body = Bytes::from(self.request().encode_to_vec());
        let numbers = self.queue.numbers();
        let mut wait = RETRY;
        loop {
            let mut asked_for = None;
            match self.client.post("/v1/logs", body.clone()).await {
                Ok(answer) if answer.status.is_success() => {
                    let refused = rejected(&answer.body).min(self.batch.len() as u64);
                    let sent = self.batch.len() as u64 - refused;
                    numbers.sent.fetch_add(sent, Relaxed);
                    numbers.bytes.fetch_add(body.len() as u64, Relaxed);
                    return self.refused(refused);
                }
                Ok(answer) if answer.is_for_later() => {
                    tracing::warn!(status = %answer.status, "the collector is busy; trying again");
                    asked_for = answer.retry_after;
                }
                Ok(answer) => {
                    tracing::warn!(status = %answer.status, "the collector refused records");
                    return self.refused(self.batch.len() as u64);
                }
                Err(error) => {
                    tracing::warn!(%error, "the collector cannot be reached; trying again");
                }
            }
            numbers.retries.fetch_add(1, Relaxed);
            sleep(asked_for.map_or(wait, |asked| asked.clamp(wait, RETRY_LIMIT))).await;
            wait = (wait * 2).min(RETRY_LIMIT);
        }
    }

    fn refused(&self, count: u64) {
        self.queue.numbers().refused.fetch_add(count, Relaxed);
        // The refusal of a message about a loss is not reported, because that would never end.
        let is_news = |item: &Item| !matches!(item.what, What::Overrun { .. });
        if count > 0 && self.batch.iter().any(is_news) {
            self.queue.tell(Reason::Refused, count);
        }
    }

    fn request(&self) -> ExportLogsServiceRequest {
        ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: Some(self.resource.clone()),
                scope_logs: vec![ScopeLogs {
                    scope: Some(scope()),
                    log_records: self.batch.iter().map(record).collect(),
                    ..ScopeLogs::default()
                }],
                ..ResourceLogs::default()
            }],
        }
    }
}

/// The number of refused records of a request.
fn rejected(body: &[u8]) -> u64 {
    let Ok(response) = ExportLogsServiceResponse::decode(body) else {
        return 0;
    };
    let Some(partial) = response.partial_success else {
        return 0;
    };
    if !partial.error_message.is_empty() {
        tracing::warn!(
            message = partial.error_message,
            "a message from the collector"
        );
    }
    u64::try_from(partial.rejected_log_records).unwrap_or(0)
}

/// Sends the metrics every `period`, until it is dropped. They are sums, so a lost request does not
/// matter after the next one.
///
/// # Errors
///
/// `url` is not an HTTP address.
pub fn send_metrics(
    url: &str,
    node: &str,
    source: Arc<Source>,
    period: Duration,
) -> Result<impl Future<Output = ()> + use<>> {
    let mut client = Client::new(url)?;
    let resource = resource(node);
    let start = now();
    Ok(async move {
        let mut tick = interval(period);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tick.tick().await;
            let families = source.families(&source.sample().await);
            let time = now();
            let metrics = families.into_iter();
            let request = ExportMetricsServiceRequest {
                resource_metrics: vec![ResourceMetrics {
                    resource: Some(resource.clone()),
                    scope_metrics: vec![ScopeMetrics {
                        scope: Some(scope()),
                        metrics: metrics
                            .filter_map(|family| metrics::metric(family, start, time))
                            .collect(),
                        ..ScopeMetrics::default()
                    }],
                    ..ResourceMetrics::default()
                }],
            };
            match client
                .post("/v1/metrics", request.encode_to_vec().into())
                .await
            {
                Ok(answer) if answer.status.is_success() => {}
                Ok(answer) => {
                    tracing::warn!(status = %answer.status, "the collector refused metrics")
                }
                Err(error) => tracing::warn!(%error, "metrics were not delivered"),
            }
        }
    })
}

fn resource(node: &str) -> Resource {
    Resource {
        attributes: vec![
            attribute(names::SERVICE_NAME, text(env!("CARGO_PKG_NAME"))),
            attribute(names::SERVICE_VERSION, text(env!("CARGO_PKG_VERSION"))),
            attribute(names::HOST_NAME, text(node)),
        ],
        ..Resource::default()
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "ctnetlink".into(),
        ..InstrumentationScope::default()
    }
}
