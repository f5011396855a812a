//! What became of many changes.

use std::fmt;

use crate::error::{Error, Result};
use crate::flow::FlowKey;

/// What became of the changes of a bulk request.
///
/// They are made in their order, so that a report of one that was cancelled is of the first
/// [`done`](Self::done) of them.
#[derive(Debug, Default)]
#[non_exhaustive]
#[must_use = "a change that failed is told here alone"]
pub struct Report {
    /// Changes that were made. By a list, some may be of one flow: a list may have it twice, and a
    /// second delete counts as gone.
    pub applied: u64,
    /// Updates and deletes of flows that are not in the table.
    pub gone: u64,
    /// The changes that failed, in their order, with the reason: the first [`KEPT`](Self::KEPT). The
    /// key is the one that was asked for; of a flow that matched, for a delete, its reply tuple.
    pub failed: Vec<(FlowKey, Error)>,
    /// The number of all changes that failed.
    pub failed_total: u64,
    /// Why flows that match may have been left out: the first error of the list that
    /// [`delete_matching`](crate::ConntrackHandle::delete_matching) and
    /// [`update_matching`](crate::ConntrackHandle::update_matching) go by.
    pub incomplete: Option<Error>,
}

impl Report {
    /// How many failures are kept in [`failed`](field@Self::failed).
    pub const KEPT: usize = 1000;

    /// The number of changes that the report is of.
    pub fn done(&self) -> u64 {
        self.applied + self.gone + self.failed_total
    }

    /// Is all done that was asked for? A flow that is gone is no failure.
    ///
    /// # Errors
    ///
    /// The error of the first change that failed, or why changes were left out.
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
        write!(
            f,
            "{applied} applied, {gone} gone, {} failed",
            self.failed_total
        )?;
        match &self.incomplete {
            Some(error) => write!(f, ", incomplete: {error}"),
            None => Ok(()),
        }
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
