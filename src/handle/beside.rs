//! What the kernel has beside the flows.

mod expectations;

pub use expectations::Expectations;

use super::ConntrackHandle;

impl ConntrackHandle {
    /// The expectations: flows that helpers have read of, and that are yet to come.
    pub fn expectations(&self) -> Expectations {
        Expectations::new(self.lanes.clone())
    }
}
