//! The guide for authors of daemons, with one page per subject.
//!
//! | page | read it |
//! |---|---|
//! | [`loss`] | before you rely on an answer: loss, back-pressure, order, cancellation, deadlines |
//! | [`mirror`] | to keep the table in memory, or equal to a store of your own |
//! | [`filters`] | to know what the kernel compares and what this crate compares |
//! | [`rights`] | when opening fails with `PermissionDenied`, or for other network namespaces |
//! | [`performance`] | for large tables and many changes |
//! | [`testing_your_daemon`] | to test a program without root |
//! | [`json`] | to store flows, or to hand them to other programs |
//! | [`coming_from`] | if you know conntrack(8) or another library |

#[doc = include_str!("guide/loss.md")]
pub mod loss {}

#[doc = include_str!("guide/mirror.md")]
pub mod mirror {}

#[doc = include_str!("guide/filters.md")]
pub mod filters {}

#[doc = include_str!("guide/rights.md")]
pub mod rights {}

#[doc = include_str!("guide/performance.md")]
pub mod performance {}

#[doc = include_str!("guide/testing.md")]
pub mod testing_your_daemon {}

#[doc = include_str!("guide/coming_from.md")]
pub mod coming_from {}

#[doc = include_str!("guide/json.md")]
pub mod json {}
