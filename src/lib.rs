//! Async tokio client for the Linux connection tracking table.
