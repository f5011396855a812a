//! Tests of the fake kernel.
