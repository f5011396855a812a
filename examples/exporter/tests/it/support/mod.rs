//! The test support of ctnetlink: namespaces, rules, real traffic.

#![allow(dead_code, unreachable_pub, unused_imports)]

#[path = "../../../../../tests/support/count.rs"]
pub mod count;
#[path = "../../../../../tests/support/link.rs"]
pub mod link;
#[path = "../../../../../tests/support/loopback.rs"]
pub mod loopback;
#[path = "../../../../../tests/support/namespace.rs"]
pub mod namespace;
#[path = "../../../../../tests/support/nft/mod.rs"]
pub mod nft;
#[path = "../../../../../tests/support/patience.rs"]
pub mod patience;
#[path = "../../../../../tests/support/peer.rs"]
pub mod peer;
#[path = "../../../../../tests/support/traffic/mod.rs"]
pub mod traffic;
