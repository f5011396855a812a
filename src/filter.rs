//! Which flows: one filter for the kernel and for user space.

pub(crate) mod bpf;
mod builder;
mod check;
mod conditions;
mod events;
pub(crate) mod kernel;
mod matching;
mod wire;

pub use builder::FilterBuilder;
pub use conditions::{NatKind, Ports};
pub use kernel::KernelFilter;

use conditions::Conditions;

use crate::flow::{Family, Flow};

/// Which flows: conditions that a flow meets all of.
///
/// [`Filter::builder`] makes it, and refuses conditions that contradict each other. What the
/// running kernel compares correctly goes into a request ([`KernelFilter`]); every flow that comes
/// back is held against the whole filter again, so that the kernel's age changes what a request
/// costs and never what it gives.
///
/// The empty filter (`Filter::default()`) matches every flow.
///
/// ```
/// # use ctnetlink::{Family, Filter, Masked, NatKind};
/// let web = Filter::builder()
///     .family(Family::Ipv4)
///     .protocol(6)
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
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Conditions", into = "Conditions"))]
pub struct Filter(Conditions);

impl Filter {
    /// A filter under construction, without conditions yet.
    pub fn builder() -> FilterBuilder {
        FilterBuilder::default()
    }

    /// Does the flow meet every condition?
    ///
    /// What a flow does not say counts as the kernel means it: no mark is mark 0, no labels are no
    /// labels. A flow without a TCP state is in none.
    pub fn matches(&self, flow: &Flow) -> bool {
        self.0.matches(flow)
    }

    /// Has it no condition, so that every flow matches?
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The one family of the flows that match, where a condition says so: its own, that of an
    /// address, or that of ICMP's fields.
    pub fn family(&self) -> Option<Family> {
        self.0.family
    }
}

#[cfg(feature = "serde")]
impl TryFrom<Conditions> for Filter {
    type Error = crate::Error;

    fn try_from(conditions: Conditions) -> crate::Result<Self> {
        conditions.checked()
    }
}

#[cfg(feature = "serde")]
impl From<Filter> for Conditions {
    fn from(filter: Filter) -> Self {
        filter.0
    }
}

#[cfg(test)]
pub(crate) mod tests;
