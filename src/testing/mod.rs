//! A connection tracking table in the process, to test programs that use this crate without root,
//! network namespaces or a kernel that has ctnetlink. Feature `testing`.
//!
//! A [`Kernel`] takes the same bytes as the real one, so all of this crate is tested with it. It
//! follows the rules of the chosen release, and a test can order faults that a real kernel has only
//! rarely. Its clock stands still until [`Kernel::advance`] moves it.
//!
//! This tests the clean-up of a daemon in milliseconds:
//!
//! ```
//! use std::time::Duration;
//! use ctnetlink::testing::Kernel;
//! use ctnetlink::{ConntrackHandle, Filter, NewFlow, Tuple};
//!
//! /// Ends what is left of a customer's flows. The mark is the customer's number.
//! async fn clean_up(handle: &ConntrackHandle, customer: u32) -> ctnetlink::Result<u64> {
//!     let filter = Filter::builder().mark(customer).build()?;
//!     Ok(handle.delete_matching(filter).await?.applied)
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = tokio::runtime::Builder::new_current_thread()
//!     .enable_time()
//!     .start_paused(true)
//!     .build()?;
//! runtime.block_on(async {
//!     let kernel = Kernel::new();
//!     let handle = kernel.connect();
//!     for (port, customer) in [(4000, 7), (4001, 7), (4002, 8)] {
//!         let source = std::net::SocketAddr::new([10, 0, 0, 1].into(), port);
//!         let tuple = Tuple::udp(source, "10.0.0.2:53".parse()?)?;
//!         let flow = NewFlow::new(tuple, Duration::from_secs(60)).mark(customer);
//!         handle.create(flow).await?;
//!     }
//!
//!     assert_eq!(clean_up(&handle, 7).await?, 2);
//!     let left: Vec<_> = kernel.flows().iter().map(|flow| flow.mark).collect();
//!     assert_eq!(left, [Some(8)]);
//!
//!     kernel.advance(Duration::from_secs(60));
//!     assert!(kernel.flows().is_empty());
//!     Ok(())
//! })
//! # }
//! ```

mod attrs;
mod bpf;
mod builder;
mod create;
mod delete;
mod dump;
mod entry;
mod events;
mod expectation;
mod faults;
mod filter;
mod helper;
#[cfg(test)]
pub(crate) mod judge;
mod kernel;
mod machine;
mod nat;
mod packet;
mod port;
mod redelivery;
mod release;
mod restore;
mod socket;
mod stats;
mod table;
mod timeouts;
mod tuple;
mod update;
mod user_helpers;
mod words;

pub use builder::KernelBuilder;
pub use faults::{AnswerFault, EventFault, RequestFault};
pub use kernel::Kernel;
pub use socket::FakeSocket;

#[cfg(test)]
mod tests;
