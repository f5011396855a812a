//! Numbers with names and labels, for all outputs.

use std::borrow::Cow;

/// A name with its numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// The name on the metrics page, without `_total`.
    pub name: Cow<'static, str>,
    pub help: Cow<'static, str>,
    pub kind: Kind,
    pub rows: Vec<Row>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from 0 at the start of the exporter.
    Counter,
    Gauge,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub labels: Vec<(&'static str, Cow<'static, str>)>,
    pub value: Number,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    Int(u64),
    Float(f64),
}

impl Family {
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        help: impl Into<Cow<'static, str>>,
        kind: Kind,
    ) -> Self {
        Self {
            name: name.into(),
            help: help.into(),
            kind,
            rows: Vec::new(),
        }
    }

    /// One number that goes up and down.
    pub fn gauge(name: &'static str, help: &'static str, value: impl Into<Number>) -> Self {
        Self::new(name, help, Kind::Gauge).with([], value)
    }

    /// One number that only grows.
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self::new(name, help, Kind::Counter).with([], value)
    }

    /// Adds a number.
    pub fn with<const N: usize>(
        mut self,
        labels: [(&'static str, Cow<'static, str>); N],
        value: impl Into<Number>,
    ) -> Self {
        self.rows.push(Row {
            labels: labels.into(),
            value: value.into(),
        });
        self
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Number {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<bool> for Number {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}
