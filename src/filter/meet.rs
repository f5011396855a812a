//! Combines two conditions of the same kind into one.

use std::fmt;

use super::prefixes::behind;
use super::{Ports, PrefixSet};
use crate::flow::{Bits, DccpState, Family, Masked, Protocol, SctpState, TcpState, Tuple};

/// A condition of a kind that a filter has at most once.
pub(super) trait Meet: Clone + fmt::Display {
    /// The condition that holds when both hold. `None` if they exclude each other.
    fn meet(&self, other: &Self) -> Option<Self>;

    /// The text in an error.
    fn shown(&self) -> String {
        self.to_string()
    }

    /// The text in the line of a filter.
    fn written(&self) -> String {
        self.to_string()
    }

    /// Why the condition is empty or ambiguous, if it is.
    fn refusal(&self) -> Option<String> {
        None
    }
}

macro_rules! exact {
    ($($ty:ty),+) => {
        $(impl Meet for $ty {
            fn meet(&self, other: &Self) -> Option<Self> {
                (self == other).then(|| self.clone())
            }
        })+
    };
}

exact!(u8, u16, Family, Protocol, TcpState, SctpState, DccpState);

impl Meet for Tuple {
    fn meet(&self, other: &Self) -> Option<Self> {
        (self == other).then_some(*self)
    }

    fn written(&self) -> String {
        format!("({self})")
    }
}

impl Meet for Box<str> {
    fn meet(&self, other: &Self) -> Option<Self> {
        (self == other).then(|| self.clone())
    }

    fn shown(&self) -> String {
        format!("{self:?}")
    }

    fn refusal(&self) -> Option<String> {
        // An empty name would look like a flow without a helper.
        self.is_empty().then(|| "the name is empty".into())
    }
}

impl Meet for Ports {
    fn meet(&self, other: &Self) -> Option<Self> {
        let both = self.common(other);
        (!both.is_empty()).then_some(both)
    }

    fn refusal(&self) -> Option<String> {
        self.is_empty()
            .then(|| format!("the range {self} is empty"))
    }
}

impl Meet for PrefixSet {
    fn meet(&self, other: &Self) -> Option<Self> {
        let both = self.common(other);
        (!both.is_empty()).then_some(both)
    }

    fn refusal(&self) -> Option<String> {
        match self.excess() {
            Some(net) => Some(behind(net)),
            None if self.is_empty() => Some("the set of addresses is empty".into()),
            None => None,
        }
    }
}

impl<T: Bits> Meet for Masked<T>
where
    Self: fmt::Display,
{
    fn meet(&self, other: &Self) -> Option<Self> {
        let agree = self.value().and(other.mask()) == other.value().and(self.mask());
        agree.then(|| Self::new(self.value().or(other.value()), self.mask().or(other.mask())))
    }

    fn refusal(&self) -> Option<String> {
        if self.excess() != T::NONE {
            return Some("its value has bits outside the mask, so no flow would match".into());
        }
        self.is_void()
            .then(|| "its mask is empty, so every flow would match".into())
    }
}
