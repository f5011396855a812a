//! The environment of tests and examples: network namespaces, rules that make the kernel track, and
//! real traffic. It needs no tool, and no root if user namespaces are enabled.

// Each test binary uses a part of it, and exports nothing.
#![allow(dead_code, unreachable_pub, unused_imports)]

pub mod count;
pub mod harness;
pub mod link;
pub mod loopback;
pub mod namespace;
pub mod nft;
pub mod patience;
pub mod peer;
pub mod release;
pub mod traffic;
pub mod visible;
