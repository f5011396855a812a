//! What tests and examples need around the crate: network namespaces of their own, rules that make the kernel
//! track, and real traffic. It needs neither root (where user namespaces are on) nor any tool.

// Each user takes a part of it, and in a test binary nothing is reachable from outside.
#![allow(dead_code, unreachable_pub, unused_imports)]

pub mod count;
pub mod harness;
pub mod link;
pub mod namespace;
pub mod nft;
pub mod peer;
pub mod traffic;
pub mod visible;
