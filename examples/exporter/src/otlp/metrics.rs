//! The numbers of the metrics page, in the form of OpenTelemetry.

use std::borrow::Cow;

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Metric, NumberDataPoint, Sum,
};

use super::names::{self, LABEL_NAMES, METRICS};
use super::record::{attribute, text};
use crate::family::{Family, Kind, Number, Row};

/// Counters began at `start`. A family without an OpenTelemetry name is left out. A test checks
/// that every family has one.
pub(super) fn metric(family: Family, start: u64, now: u64) -> Option<Metric> {
    let (_, name, unit) = METRICS.iter().find(|(name, ..)| *name == family.name)?;
    let points = family.rows.into_iter();
    let data_points = points.map(|row| point(row, start, now)).collect();
    let data = match family.kind {
        Kind::Gauge => Data::Gauge(Gauge { data_points }),
        Kind::Counter => Data::Sum(Sum {
            data_points,
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        }),
    };
    Some(Metric {
        name: (*name).into(),
        description: family.help.into_owned(),
        unit: (*unit).into(),
        data: Some(data),
        ..Metric::default()
    })
}

fn point(row: Row, start: u64, now: u64) -> NumberDataPoint {
    let attributes = row.labels.into_iter().filter_map(|(label, value)| {
        let (_, name) = LABEL_NAMES.iter().find(|(known, _)| *known == label)?;
        let value = match label {
            "state" => Cow::from(names::tcp_state(&value)),
            _ => value,
        };
        Some(attribute(name, text(value)))
    });
    let value = match row.value {
        Number::Int(value) => Value::AsInt(i64::try_from(value).unwrap_or(i64::MAX)),
        Number::Float(value) => Value::AsDouble(value),
    };
    NumberDataPoint {
        attributes: attributes.collect(),
        start_time_unix_nano: start,
        time_unix_nano: now,
        value: Some(value),
        ..NumberDataPoint::default()
    }
}
