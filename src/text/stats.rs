//! The lines that conntrack(8) prints for statistics.

use std::fmt;

use crate::stats::{CpuCounters, CpuStats, TableStats};

/// Writes the number of flows, as `conntrack -C` prints it.
impl fmt::Display for TableStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.fmt(f)
    }
}

/// The line of `conntrack -S` (1.4.7), with the space at its end. Counters that the kernel did not
/// send are left out.
impl<C: CpuCounters> fmt::Display for CpuStats<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cpu={:<4}\t", self.cpu)?;
        for (name, count) in self.counters.named() {
            write!(f, "{name}={count} ")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{ExpectationCounters, TableCounters};

    #[test]
    fn lines_read_as_those_of_conntrack() {
        let mut counters = TableCounters::default();
        (counters.insert, counters.chain_toolong) = (Some(1), Some(0));
        assert_eq!(
            CpuStats::new(12, counters).to_string(),
            "cpu=12  \tinsert=1 chaintoolong=0 "
        );
        let mut counters = ExpectationCounters::default();
        (counters.new, counters.create, counters.delete) = (Some(1), Some(2), Some(3));
        assert_eq!(
            CpuStats::new(0, counters).to_string(),
            "cpu=0   \texpect_new=1 expect_create=2 expect_delete=3 "
        );
    }
}
