//! The settings of a mirror.

use std::time::Duration;

use crate::filter::Filter;

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) filter: Filter,
    pub(super) limit: usize,
    pub(super) recheck: Option<Duration>,
}
