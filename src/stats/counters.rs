//! The counters of a CPU, and their sums.

use crate::wire::attr::{Attributes, DecodeError};
use crate::wire::table::Context;

/// The counters that a CPU can have: [`TableCounters`] and [`ExpectationCounters`].
pub trait CpuCounters: Copy + sealed::Sealed {
    /// The same counters, wide enough for sums.
    type Totals: Copy + Default + std::fmt::Debug;
}

pub(crate) mod sealed {
    use super::{Attributes, CpuCounters, DecodeError};

    /// Internal functions for counters of either kind.
    pub trait Sealed: Sized {
        #[doc(hidden)]
        #[allow(private_interfaces)]
        fn read_all(attributes: Attributes<'_>) -> Result<Self, DecodeError>;

        /// Adds the counts since the `last` sample, or all counts if there is none.
        #[doc(hidden)]
        fn add_since(&self, last: Option<&Self>, totals: &mut Self::Totals)
        where
            Self: CpuCounters;

        /// The counters that are present, by the names that conntrack(8) prints.
        #[doc(hidden)]
        fn named(&self) -> impl Iterator<Item = (&'static str, u32)>;
    }
}

/// Declares counters, each with its doc, attribute, field and the name that conntrack(8) prints.
macro_rules! counters {
    (
        $(#[$meta:meta])*
        pub struct $name:ident;
        $(#[$totals_meta:meta])*
        pub struct $totals:ident;
        $($(#[$doc:meta])* $cta:ident => $field:ident as $word:literal,)+
    ) => {
        attributes! {
            $(#[$meta])*
            #[derive(Copy, Default)]
            #[non_exhaustive]
            pub struct $name {
                $($(#[$doc])* $cta => $field: Option<u32>,)+
            }
        }

        $(#[$totals_meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub struct $totals {
            $($(#[$doc])* pub $field: Option<u64>,)+
        }

        #[cfg(feature = "serde")]
        keyed! { $totals; [] [$($field: Option<u64>,)+] }

        impl CpuCounters for $name {
            type Totals = $totals;
        }

        impl sealed::Sealed for $name {
            #[allow(private_interfaces)]
            fn read_all(attributes: Attributes<'_>) -> Result<Self, DecodeError> {
                Self::read(attributes, &mut Context::default())
            }

            fn add_since(&self, last: Option<&Self>, totals: &mut $totals) {
                $(add(self.$field, last.and_then(|last| last.$field), &mut totals.$field);)+
            }

            fn named(&self) -> impl Iterator<Item = (&'static str, u32)> {
                let all = [$(($word, self.$field)),+];
                all.into_iter().filter_map(|(name, count)| Some((name, count?)))
            }
        }
    };
}

/// The kernel's number wraps. The difference is right if it has wrapped at most once.
fn add(now: Option<u32>, last: Option<u32>, total: &mut Option<u64>) {
    if let Some(now) = now {
        let counted = now.wrapping_sub(last.unwrap_or(0));
        *total = Some(total.unwrap_or(0).wrapping_add(counted.into()));
    }
}

counters! {
    /// The counters of a CPU for flows. A counter that the kernel did not send is `None`; each
    /// wraps at 2³².
    ///
    /// `conntrack -S`; `IPCTNL_MSG_CT_GET_STATS_CPU` (Linux 3.6).
    pub struct TableCounters;
    /// The [`TableCounters`] of all CPUs.
    pub struct TableTotals;
    /// Lookups. `CTA_STATS_SEARCHED`. Not counted since Linux 4.9.
    CTA_STATS_SEARCHED => searched as "searched",
    /// Lookups that found a flow. Since Linux 4.9, only lookups of NAT for a free tuple are
    /// counted. `CTA_STATS_FOUND`.
    CTA_STATS_FOUND => found as "found",
    /// New flows. `CTA_STATS_NEW`. Not counted since Linux 4.9.
    CTA_STATS_NEW => new as "new",
    /// Packets that could not be tracked. `CTA_STATS_INVALID`.
    CTA_STATS_INVALID => invalid as "invalid",
    /// Packets that rules exempted from tracking. `CTA_STATS_IGNORE`. Not sent since Linux 5.10.
    CTA_STATS_IGNORE => ignore as "ignore",
    /// Flows that ended. `CTA_STATS_DELETE`. Not counted since Linux 4.9.
    CTA_STATS_DELETE => delete as "delete",
    /// Flows put on the dying list. `CTA_STATS_DELETE_LIST`. Not counted since Linux 4.9.
    CTA_STATS_DELETE_LIST => delete_list as "delete_list",
    /// Flows put into the table. `CTA_STATS_INSERT`.
    CTA_STATS_INSERT => insert as "insert",
    /// Flows that could not be put into the table, because another flow has their tuple.
    /// `CTA_STATS_INSERT_FAILED`.
    CTA_STATS_INSERT_FAILED => insert_failed as "insert_failed",
    /// Packets dropped because their flow could not be created: the table was full, memory ran out,
    /// or another packet had begun the same flow. `CTA_STATS_DROP`.
    CTA_STATS_DROP => drop as "drop",
    /// Flows that were dropped to make room for others in a full table. `CTA_STATS_EARLY_DROP`.
    CTA_STATS_EARLY_DROP => early_drop as "early_drop",
    /// ICMP errors that belong to no flow. `CTA_STATS_ERROR`.
    CTA_STATS_ERROR => error as "error",
    /// Lookups that started again because the table was being resized. `CTA_STATS_SEARCH_RESTART`.
    CTA_STATS_SEARCH_RESTART => search_restart as "search_restart",
    /// How often two packets began the same flow, and both passed. `CTA_STATS_CLASH_RESOLVE` (Linux
    /// 5.10).
    CTA_STATS_CLASH_RESOLVE => clash_resolve as "clash_resolve",
    /// Flows that were not created, because their hash bucket had too many entries.
    /// `CTA_STATS_CHAIN_TOOLONG` (Linux 5.15).
    CTA_STATS_CHAIN_TOOLONG => chain_toolong as "chaintoolong",
}

counters! {
    /// The counters of a CPU for expectations. A counter that the kernel did not send is `None`;
    /// each wraps at 2³².
    ///
    /// `conntrack -S expect`; `IPCTNL_MSG_EXP_GET_STATS_CPU` (Linux 3.6).
    pub struct ExpectationCounters;
    /// The [`ExpectationCounters`] of all CPUs.
    pub struct ExpectationTotals;
    /// Flows that matched an expectation. `CTA_STATS_EXP_NEW`.
    CTA_STATS_EXP_NEW => new as "expect_new",
    /// Expectations that were created. `CTA_STATS_EXP_CREATE`.
    CTA_STATS_EXP_CREATE => create as "expect_create",
    /// Expectations that ended, for any reason. `CTA_STATS_EXP_DELETE`.
    CTA_STATS_EXP_DELETE => delete as "expect_delete",
}
