//! Filters: one type for the kernel and for user space.

#[macro_use]
mod row;

pub(crate) mod bpf;
mod builder;
mod check;
mod conditions;
mod display;
mod events;
mod getters;
pub(crate) mod kernel;
mod lasting;
mod matching;
mod meet;
mod nat_kind;
mod ports;
mod prefixes;
#[cfg(feature = "serde")]
mod serde;
mod tuple;
mod wire;

pub use builder::FilterBuilder;
pub use kernel::KernelFilter;
pub use nat_kind::NatKind;
pub use ports::Ports;
pub use prefixes::PrefixSet;

use conditions::Conditions;

use crate::flow::Flow;

/// Conditions that a flow has to meet, all of them.
///
/// [`Filter::builder`] makes it, and refuses conditions that contradict each other. What the
/// running kernel compares correctly goes into a request ([`KernelFilter`]); every flow that comes
/// back is compared with the whole filter again, so an older kernel makes a request slower and
/// never changes its result.
///
/// The empty filter (`Filter::default()`) matches every flow.
///
/// ```
/// # use ctnetlink::{Family, Filter, Masked, NatKind, Protocol};
/// let web = Filter::builder()
///     .family(Family::Ipv4)
///     .protocol(Protocol::TCP)
///     .orig_dst_port(443)
///     .build()?;
/// let ours = Filter::builder()
///     .orig_src("10.0.0.0/8".parse::<ctnetlink::IpNet>()?)
///     .mark(Masked::new(0x10, 0xf0))
///     .nat(NatKind::Source)
///     .not(web)
///     .build()?;
/// assert_eq!(ours.family(), Some(Family::Ipv4)); // its addresses say so
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # JSON
///
/// With the feature `serde`, a filter has a key for each condition, with the name of the builder's
/// method and what it takes: a protocol by name or number, one prefix as a text and several as a list,
/// a port as a number and a range as the text `"1024-65535"`. [`nat`](FilterBuilder::nat) and the
/// conditions on single bits are part of `status` and `labels`, except `any_nat`: `true`.
/// `has_helper` and `has_master` are `true`, `any_of` is a list of lists of filters, `not` a list of
/// filters. What is no condition has no key: `null`, `false` and an empty list are refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Filter(Conditions);

impl Filter {
    /// A builder without conditions.
    pub fn builder() -> FilterBuilder {
        FilterBuilder::default()
    }

    /// Does the flow meet every condition?
    ///
    /// An attribute that the flow lacks counts as the kernel's default: no mark is mark 0, no
    /// labels are empty labels. A flow without a TCP state matches no TCP state.
    pub fn matches(&self, flow: &Flow) -> bool {
        self.0.matches(flow)
    }

    /// Has it no conditions? Then every flow matches.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
pub(crate) mod tests;
