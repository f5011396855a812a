//! Filters: one type, whose conditions the kernel and this crate compare.

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

/// Conditions on a flow. A flow matches if it meets all of them.
///
/// [`Filter::builder`] builds it, and refuses conditions that contradict each other. The conditions
/// that the running kernel compares correctly go into a request ([`KernelFilter`]). Every flow that
/// arrives is compared with the whole filter again. So an older kernel makes a request slower, and
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
/// With the feature `serde`, a filter has a key for each condition. The key is the name of the
/// builder's method, and the value is its argument: a protocol by name or number, one prefix as a
/// string and several as a list, a port as a number and a range as the string `"1024-65535"`.
/// [`nat`](FilterBuilder::nat) and the conditions on single bits are part of `status` and `labels`,
/// except `any_nat`: `true`. `has_helper` and `has_master` are `true`, `any_of` is a list of lists
/// of filters, `not` a list of filters. Only conditions have a key: `null`, `false` and an empty
/// list are refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Filter(Conditions);

impl Filter {
    /// A builder without conditions.
    pub fn builder() -> FilterBuilder {
        FilterBuilder::default()
    }

    /// Returns `true` if the flow meets every condition.
    ///
    /// A missing attribute counts as the kernel's default: no mark is mark 0, and no labels are
    /// empty labels. A flow without a TCP state matches no TCP state.
    pub fn matches(&self, flow: &Flow) -> bool {
        self.0.matches(flow)
    }

    /// Returns `true` if the filter has no conditions. Then every flow matches.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
pub(crate) mod tests;
