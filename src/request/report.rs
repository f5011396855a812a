//! The results of a bulk request.

use std::fmt;

use crate::error::{Error, Result};
use crate::filter::KernelFilter;
use crate::flow::FlowKey;

/// The result of a bulk request.
///
/// Changes are made in order. The report of a request that was stopped covers the first
/// [`done`](Self::done) changes.
#[derive(Debug, Default)]
#[non_exhaustive]
#[must_use = "only the report says which changes failed"]
pub struct Report {
    /// Changes that were made. A list can contain a flow twice; the second delete then counts as
    /// gone.
    pub applied: u64,
    /// Updates and deletes of flows that are not in the table.
    pub gone: u64,
    /// Creates of flows that are already in the table, with the same settings or with others. A
    /// create fails if another flow uses its tuple.
    pub exists: u64,
    /// The first [`KEPT`](Self::KEPT) changes that failed, in order, with the reason. The key is
    /// the key of the change. For the delete of a flow that matched, it is the flow's reply tuple.
    pub failed: Vec<(FlowKey, Error)>,
    /// The number of all changes that failed.
    pub failed_total: u64,
    /// The number of failed updates that were made in part: see [`Error::is_partial`].
    pub partial: u64,
    /// The conditions that the kernel compared in the list of
    /// [`delete_matching`](crate::ConntrackHandle::delete_matching) and its like; `None` for requests
    /// without a list.
    pub kernel_filtered: Option<KernelFilter>,
    /// Why flows that match may be missing: the first error of the list of
    /// [`delete_matching`](crate::ConntrackHandle::delete_matching) and its like.
    pub incomplete: Option<Error>,
}

impl Report {
    /// The number of failures that are kept in [`failed`](field@Self::failed).
    pub const KEPT: usize = 1000;

    /// The number of changes that were tried.
    pub fn done(&self) -> u64 {
        self.applied + self.gone + self.exists + self.failed_total
    }

    /// Returns `Ok` if nothing failed. A flow that is gone, or that exists already, is not a
    /// failure.
    ///
    /// # Errors
    ///
    /// The error of the list, or of the first change that failed.
    pub fn into_result(mut self) -> Result<()> {
        match self.incomplete.take() {
            Some(error) => Err(error),
            None if self.failed.is_empty() => Ok(()),
            None => Err(self.failed.swap_remove(0).1),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { applied, gone, .. } = self;
        write!(f, "{applied} applied, {gone} gone, ")?;
        if self.exists > 0 {
            write!(f, "{} there already, ", self.exists)?;
        }
        write!(f, "{} failed", self.failed_total)?;
        if self.partial > 0 {
            write!(f, " ({} of them in part applied)", self.partial)?;
        }
        match &self.incomplete {
            Some(error) => write!(f, ", incomplete: {error}"),
            None => Ok(()),
        }
    }
}

/// The result of one change: see [`Bulk::on_item`](crate::Bulk::on_item).
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Outcome<'a> {
    /// It was made.
    Applied,
    /// The flow to change or delete is not in the table.
    Gone,
    /// The flow to create is in the table already.
    Exists,
    /// It failed.
    Failed(&'a Error),
}

impl Outcome<'_> {
    /// Returns `true` if the change was made.
    pub fn is_applied(&self) -> bool {
        matches!(self, Self::Applied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::flow::Tuple;

    fn key() -> FlowKey {
        let address = "10.0.0.1".parse().expect("an address");
        Tuple::generic(address, address, 89)
            .expect("a tuple")
            .into()
    }

    #[test]
    fn a_failure_is_an_error_and_a_flow_that_is_gone_is_not() {
        let some = || Report {
            applied: 3,
            gone: 1,
            ..Report::default()
        };
        assert_eq!(some().to_string(), "3 applied, 1 gone, 0 failed");
        assert!(some().into_result().is_ok());
        let there = Report {
            exists: 2,
            ..some()
        };
        assert_eq!(there.done(), 6);
        assert_eq!(
            there.to_string(),
            "3 applied, 1 gone, 2 there already, 0 failed"
        );
        assert!(there.into_result().is_ok());
        let mut report = some();
        report.failed = vec![(key(), Error::closed()), (key(), Error::overrun())];
        report.failed_total = 2;
        assert_eq!(report.done(), 6);
        let error = report.into_result().expect_err("a failure");
        assert_eq!(error.kind(), ErrorKind::Closed, "the first");

        let report = Report {
            incomplete: Some(Error::overrun()),
            ..Report::default()
        };
        assert!(report.to_string().contains("incomplete: "), "{report}");
        assert!(report.into_result().is_err());
    }
}
