//! A flow, or a loss, as a log record.

use ctnetlink::{Flow, Tuple};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};

use super::names::{self, Ends};
use super::queue::Item;
use crate::class::Class;
use crate::message::{What, nanos};

pub(super) fn record(item: &Item) -> LogRecord {
    let mut attributes = Attributes::default();
    attributes.text(names::UID, item.id.as_str());
    let mut time = item.seen;
    let (name, severity) = match &item.what {
        What::End { cause, flow } => {
            attributes.text(names::CAUSE, cause.as_str());
            let stop = flow.timestamp().and_then(|times| times.stop);
            time = stop.map_or(time, nanos);
            (names::END, SeverityNumber::Info)
        }
        What::Begin { .. } => (names::BEGIN, SeverityNumber::Info),
        What::Change { .. } => (names::CHANGE, SeverityNumber::Info),
        What::Overrun {
            reason,
            lost,
            since,
        } => {
            attributes.text(names::REASON, reason.as_str());
            attributes.number(names::LOST, *lost);
            attributes.number(names::SINCE, *since);
            (names::OVERRUN, SeverityNumber::Warn)
        }
    };
    if let Some(flow) = item.what.flow() {
        attributes.flow(flow);
    }
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: item.seen,
        severity_number: severity.into(),
        attributes: attributes.0,
        event_name: name.into(),
        ..LogRecord::default()
    }
}

#[derive(Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn flow(&mut self, flow: &Flow) {
        let class = Class::of(flow);
        self.text(names::TYPE, class.family());
        self.text(names::TRANSPORT, class.protocol());
        let state = class.state();
        if !state.is_empty() {
            self.text(names::STATE, names::tcp_state(&state));
        }
        self.tuple(&flow.orig, names::SOURCE, names::DESTINATION);
        self.tuple(&flow.reply, names::REPLY_SOURCE, names::REPLY_DESTINATION);
        if let Some(master) = flow.master() {
            self.tuple(master, names::MASTER_SOURCE, names::MASTER_DESTINATION);
        }
        if let Some(echo) = flow.orig.icmp_echo() {
            self.number(names::ICMP_TYPE, Some(echo.kind()));
            self.number(names::ICMP_CODE, Some(echo.code()));
            self.number(names::ICMP_ID, Some(echo.id()));
        }
        self.number(names::ID, flow.id.map(u32::from));
        self.number(names::ZONE, Some(flow.zone.id()));
        self.number(names::MARK, flow.mark);
        if let Some(labels) = &flow.labels {
            self.list(names::LABELS, labels.iter().map(|n| int(n.into())));
        }
        let status = flow.status.iter_names().map(|(name, _)| text(name));
        self.list(names::STATUS, status);
        if let Some(helper) = flow.helper() {
            self.text(names::HELPER, &*helper.name);
        }
        if let Some(secctx) = flow.secctx() {
            self.text(names::SECCTX, &*secctx.name);
        }
        let (orig, reply) = (flow.counters_orig, flow.counters_reply);
        self.number(names::ORIG_PACKETS, orig.map(|counters| counters.packets));
        self.number(names::ORIG_BYTES, orig.map(|counters| counters.bytes));
        self.number(names::REPLY_PACKETS, reply.map(|counters| counters.packets));
        self.number(names::REPLY_BYTES, reply.map(|counters| counters.bytes));
        let times = flow.timestamp();
        self.number(names::START, times.map(|times| nanos(times.start)));
        let stop = times.and_then(|times| times.stop);
        self.number(names::STOP, stop.map(nanos));
    }

    fn tuple(&mut self, tuple: &Tuple, source: Ends, destination: Ends) {
        self.text(source.address, tuple.src().to_string());
        self.number(source.port, tuple.src_port());
        self.text(destination.address, tuple.dst().to_string());
        self.number(destination.port, tuple.dst_port());
    }

    fn text(&mut self, key: &'static str, value: impl Into<String>) {
        self.0.push(attribute(key, text(value)));
    }

    /// An absent number has no attribute.
    fn number(&mut self, key: &'static str, value: Option<impl Into<u64>>) {
        if let Some(value) = value {
            self.0.push(attribute(key, int(value.into())));
        }
    }

    fn list(&mut self, key: &'static str, values: impl Iterator<Item = AnyValue>) {
        let values = values.collect();
        let value = Some(Value::ArrayValue(ArrayValue { values }));
        self.0.push(attribute(key, AnyValue { value }));
    }
}

pub(super) fn attribute(key: &'static str, value: AnyValue) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(value),
        ..KeyValue::default()
    }
}

pub(super) fn text(value: impl Into<String>) -> AnyValue {
    AnyValue {
        value: Some(Value::StringValue(value.into())),
    }
}

/// OTLP's numbers are signed. A larger value becomes the maximum.
fn int(value: u64) -> AnyValue {
    AnyValue {
        value: Some(Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Reason;

    /// The record of a flow in the crate's JSON.
    fn of(flow: &str) -> Vec<(String, AnyValue)> {
        let flow = serde_json::from_str(flow).expect("a flow");
        let item = Item {
            id: "an id".into(),
            seen: 9,
            what: What::Begin { flow },
        };
        let attributes = record(&item).attributes.into_iter();
        attributes
            .map(|attribute| (attribute.key, attribute.value.expect("a value")))
            .collect()
    }

    fn get(record: &[(String, AnyValue)], name: &str) -> Option<AnyValue> {
        let found = record.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone())
    }

    #[test]
    fn what_a_flow_has_is_there_and_what_it_has_not_is_not() {
        let record = of(r#"{
            "orig": {"src": "2001:db8::1", "dst": "2001:db8::2", "protocol": "icmpv6",
                     "icmp": {"type": 128, "code": 0, "id": 7}},
            "reply": {"src": "2001:db8::2", "dst": "2001:db8::1", "protocol": "icmpv6",
                      "icmp": {"type": 129, "code": 0, "id": 7}},
            "master": {"src": "192.0.2.1", "dst": "192.0.2.2", "protocol": "tcp", "src_port": 1, "dst_port": 21},
            "zone": 5, "status": ["SEEN_REPLY", "ASSURED"], "labels": [3, 127], "id": 4294967295,
            "helper": {"name": "ftp"}, "secctx": {"name": "a_u:a_r"}
        }"#);
        let is =
            |name: &str, value: AnyValue| assert_eq!(get(&record, name), Some(value), "{name}");
        is(names::TYPE, text("ipv6"));
        is(names::TRANSPORT, text("icmpv6"));
        is(names::SOURCE.address, text("2001:db8::1"));
        is(names::ICMP_TYPE, int(128));
        is(names::ICMP_ID, int(7));
        is(names::MASTER_DESTINATION.port, int(21));
        is(names::ZONE, int(5));
        is(names::ID, int(u32::MAX.into()));
        is(names::HELPER, text("ftp"));
        is(names::SECCTX, text("a_u:a_r"));
        let list = |values: Vec<AnyValue>| AnyValue {
            value: Some(Value::ArrayValue(ArrayValue { values })),
        };
        is(names::LABELS, list(vec![int(3), int(127)]));
        is(
            names::STATUS,
            list(vec![text("SEEN_REPLY"), text("ASSURED")]),
        );
        for name in [
            names::SOURCE.port,
            names::STATE,
            names::MARK,
            names::START,
            names::ORIG_BYTES,
        ] {
            assert_eq!(get(&record, name), None, "{name}");
        }
    }

    #[test]
    fn a_loss_is_a_warning_with_its_number_where_there_is_one() {
        let of = |lost| {
            record(&Item {
                id: "an id".into(),
                seen: 9,
                what: What::overrun(Reason::Kernel, lost),
            })
        };
        let known = of(Some(u64::MAX));
        assert_eq!(
            (known.severity_number, known.time_unix_nano),
            (SeverityNumber::Warn.into(), 9)
        );
        let lost = known
            .attributes
            .iter()
            .find(|attribute| attribute.key == names::LOST);
        assert_eq!(
            lost.and_then(|lost| lost.value.clone()),
            Some(int(u64::MAX))
        );
        assert!(
            of(None)
                .attributes
                .iter()
                .all(|attribute| attribute.key != names::LOST)
        );
    }

    #[test]
    fn tcp_states_have_the_conventions_names() {
        let names =
            ["SYN_RECV", "CLOSE", "ESTABLISHED", "TIME_WAIT", "SYN_SENT2"].map(names::tcp_state);
        assert_eq!(
            names,
            [
                "syn_received",
                "closed",
                "established",
                "time_wait",
                "syn_sent2"
            ]
        );
    }
}
