//! An OpenTelemetry collector: it accepts OTLP over HTTP, and stores the records. Debian has none.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use prost::Message;

pub const URL: &str = "http://127.0.0.1:4318";

/// How it answers log records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Takes,
    /// 503: try again later.
    Busy,
    /// 400: do not try again.
    Refuses,
    /// It accepts all records of a request except one.
    Picks,
}

/// A record with its attributes as text.
#[derive(Debug, Clone)]
pub struct Log {
    pub event: String,
    pub time: u64,
    pub attributes: BTreeMap<String, String>,
    pub resource: BTreeMap<String, String>,
}

#[derive(Default)]
pub struct Got {
    pub logs: Vec<Log>,
    /// The last value of each name.
    pub metrics: BTreeMap<String, Metric>,
}

#[derive(Clone)]
pub struct Collector(Arc<Mutex<(Mood, Got)>>);

impl Collector {
    /// Listens for as long as the test lasts.
    pub fn start(mood: Mood) -> Self {
        let collector = Self(Arc::new(Mutex::new((mood, Got::default()))));
        let listener = TcpListener::bind("127.0.0.1:4318").expect("a listener");
        let kept = collector.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let collector = kept.clone();
                thread::spawn(move || collector.serve(stream));
            }
        });
        collector
    }

    pub fn mood(&self, mood: Mood) {
        self.0.lock().expect("no panic").0 = mood;
    }

    pub fn with<T>(&self, look: impl FnOnce(&Got) -> T) -> T {
        look(&self.0.lock().expect("no panic").1)
    }

    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
        let mut stream = stream;
        while let Some((page, body)) = request(&mut reader) {
            let (status, answer) = self.take(&page, &body);
            let head = format!(
                "HTTP/1.1 {status} x\r\nContent-Type: application/x-protobuf\r\nContent-Length: {}\r\n\r\n",
                answer.len()
            );
            if stream
                .write_all(&[head.as_bytes(), &answer].concat())
                .is_err()
            {
                return;
            }
        }
    }

    fn take(&self, page: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let (mood, got) = &mut *self.0.lock().expect("no panic");
        match (page, *mood) {
            ("/v1/metrics", _) => {
                let request = ExportMetricsServiceRequest::decode(body).expect("metrics");
                let scopes = request
                    .resource_metrics
                    .into_iter()
                    .flat_map(|of| of.scope_metrics);
                for metric in scopes.flat_map(|scope| scope.metrics) {
                    got.metrics.insert(metric.name.clone(), metric);
                }
                (200, Vec::new())
            }
            ("/v1/logs", Mood::Busy) => (503, Vec::new()),
            ("/v1/logs", Mood::Refuses) => (400, Vec::new()),
            ("/v1/logs", mood) => {
                let request = ExportLogsServiceRequest::decode(body).expect("logs");
                let mut logs = Vec::new();
                for of in request.resource_logs {
                    let resource = plain(&of.resource.expect("a resource").attributes);
                    for record in of
                        .scope_logs
                        .into_iter()
                        .flat_map(|scope| scope.log_records)
                    {
                        logs.push(Log {
                            event: record.event_name,
                            time: record.time_unix_nano,
                            attributes: plain(&record.attributes),
                            resource: resource.clone(),
                        });
                    }
                }
                let mut response = ExportLogsServiceResponse::default();
                if mood == Mood::Picks {
                    logs.pop();
                    response.partial_success = Some(ExportLogsPartialSuccess {
                        rejected_log_records: 1,
                        error_message: "not this one".into(),
                    });
                }
                got.logs.extend(logs);
                (200, response.encode_to_vec())
            }
            _ => (404, Vec::new()),
        }
    }
}

/// The page and the body of the next request.
fn request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let page = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end().to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
        if let Some(value) = line.strip_prefix("content-type: ") {
            assert_eq!(value, "application/x-protobuf");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((page, body))
}

pub fn plain(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let each = attributes.iter();
    each.map(|attribute| (attribute.key.clone(), word(attribute.value.as_ref())))
        .collect()
}

fn word(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::ArrayValue(array)) => {
            let words: Vec<_> = array.values.iter().map(|value| word(Some(value))).collect();
            words.join(",")
        }
        other => panic!("{other:?} is of no kind that is sent"),
    }
}
