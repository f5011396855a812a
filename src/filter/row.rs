//! `conditions!`: one row for each condition of a filter, and the code that depends on all of them.

use std::fmt;

use super::conditions::Conditions;
use super::display::Line;
use super::meet::Meet;
use super::{Filter, KernelFilter};
use crate::event::EventKinds;

/// The common part of all conditions, for code that iterates over them.
pub(super) struct Row {
    /// The name of the builder's method, the getter, the key in JSON and the word in a line.
    pub(super) name: &'static str,
    pub(super) in_events: InEvents,
    /// The condition for the kernel; `None` if the kernel cannot compare it.
    pub(super) bit: Option<KernelFilter>,
    pub(super) is_asked: fn(&Conditions) -> bool,
    pub(super) clear: fn(&mut Conditions),
    pub(super) show: fn(&Conditions, &mut Line<'_, '_>) -> fmt::Result,
    pub(super) refusal: fn(&Conditions) -> Option<String>,
}

/// How events carry the attribute of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InEvents {
    /// It never changes, and every event has it.
    Fixed,
    /// It changes, and every event has it.
    Current,
    /// Destroy events do not have it.
    NotInDestroy,
    /// An update has it only if it changed. A destroy event does not have it.
    IfChanged,
    /// An update has it only if it changed. A destroy event has it since Linux 5.11.
    State,
}

impl InEvents {
    /// The kinds of events that do not have it.
    pub(super) fn absent_from(self, release: (u16, u16)) -> EventKinds {
        match self {
            Self::Fixed | Self::Current => EventKinds::empty(),
            Self::NotInDestroy => EventKinds::DESTROY,
            Self::IfChanged => EventKinds::UPDATE | EventKinds::DESTROY,
            Self::State if release < (5, 11) => EventKinds::DESTROY,
            Self::State => EventKinds::empty(),
        }
    }
}

/// What a condition can do, whether it is set or not.
pub(super) trait Condition: Default + PartialEq {
    fn is_asked(&self) -> bool {
        *self != Self::default()
    }

    fn show(&self, name: &str, line: &mut Line<'_, '_>) -> fmt::Result;

    /// Why the condition is empty or ambiguous, if it is.
    fn refusal(&self) -> Option<String> {
        None
    }
}

impl<T: Meet + PartialEq> Condition for Option<T> {
    fn show(&self, name: &str, line: &mut Line<'_, '_>) -> fmt::Result {
        match self {
            Some(value) => line.part(format_args!("{name}={}", value.written())),
            None => Ok(()),
        }
    }

    fn refusal(&self) -> Option<String> {
        self.as_ref().and_then(Meet::refusal)
    }
}

impl Condition for bool {
    fn show(&self, name: &str, line: &mut Line<'_, '_>) -> fmt::Result {
        match self {
            true => line.part(format_args!("{name}")),
            false => Ok(()),
        }
    }
}

impl Condition for Vec<Filter> {
    fn show(&self, name: &str, line: &mut Line<'_, '_>) -> fmt::Result {
        self.iter()
            .try_for_each(|filter| line.filters(name, std::slice::from_ref(filter)))
    }
}

impl Condition for Vec<Vec<Filter>> {
    fn show(&self, name: &str, line: &mut Line<'_, '_>) -> fmt::Result {
        self.iter()
            .try_for_each(|filters| line.filters(name, filters))
    }
}

/// Declares the conditions in the order in which they are shown. A row is
///
/// ```text
/// /// The page of the builder's method.
/// mark(mark: impl Into<Masked<u32>>)
///     /// More for the page of the getter.
///     -> (Masked<u32>) in Option<Masked<u32>>: Current, MARK;
/// ```
///
/// with the argument of the method, the result of the getter, the field, how events carry it, and
/// the condition for the kernel if it can compare it. Without `(…) -> (…)`, the method and the
/// getter are written by hand.
macro_rules! conditions {
    ($(
        $(#[$meta:meta])*
        $name:ident $(($arg:ident: $arg_ty:ty) $(#[$get:meta])* -> ($($out:tt)+))?
            in $ty:ty: $in_events:ident $(, $bit:ident)?;
    )+) => {
        /// The conditions of a filter. All public ways to a [`Filter`] go through
        /// [`checked`](Self::checked).
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
        pub(super) struct Conditions {
            $(pub(super) $name: $ty,)+
        }

        pub(super) const ROWS: &[Row] = &[$(Row {
            name: stringify!($name),
            in_events: InEvents::$in_events,
            bit: conditions!(bit $($bit)?),
            is_asked: |all| Condition::is_asked(&all.$name),
            clear: |all| all.$name = Default::default(),
            show: |all, line| Condition::show(&all.$name, stringify!($name), line),
            refusal: |all| Condition::refusal(&all.$name),
        }),+];

        #[cfg(feature = "serde")]
        keyed! { Conditions; [] [$($name: $ty as "crate::filter::serde::asked",)+] }

        impl FilterBuilder {
            $(conditions!(method [$(#[$meta])*] $name $(($arg: $arg_ty))?);)+
        }

        impl Filter {
            $($(
                #[doc = concat!("See [`FilterBuilder::", stringify!($name), "`].")]
                $(#[$get])*
                pub fn $name(&self) -> Option<$($out)+> {
                    conditions!(lent self.0.$name, $($out)+)
                }
            )?)+
        }
    };
    (method [] $name:ident) => {};
    (method [$(#[$meta:meta])*] $name:ident ($arg:ident: $arg_ty:ty)) => {
        $(#[$meta])*
        pub fn $name(self, $arg: $arg_ty) -> Self {
            self.narrow(stringify!($name), |all| &mut all.$name, $arg.into())
        }
    };
    (bit) => { None };
    (bit $bit:ident) => { Some(KernelFilter::$bit) };
    (lent $it:expr, &str) => { $it.as_deref() };
    (lent $it:expr, &$ty:ident) => { $it.as_ref() };
    (lent $it:expr, $ty:ty) => { $it };
}
