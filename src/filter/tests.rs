//! The filter without a kernel: the flows that it matches, the input that it refuses, and the
//! requests that it makes.

pub(crate) mod arbitrary;
mod conditions;
mod contradictions;
mod decisions;
mod parts;
mod sets;
mod superset;

use super::{Filter, FilterBuilder, NatKind, PrefixSet};
use crate::flow::{Flow, Tuple};
use ipnet::IpNet;

fn net(text: &str) -> IpNet {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub(super) fn on(filter: impl FnOnce(FilterBuilder) -> FilterBuilder) -> Filter {
    let filter = filter(Filter::builder());
    filter.build().unwrap_or_else(|error| panic!("{error}"))
}

/// TCP, 10.0.0.1:4000 to 10.0.0.2:443.
fn tcp() -> Flow {
    of(Tuple::tcp(
        "10.0.0.1:4000".parse().unwrap(),
        "10.0.0.2:443".parse().unwrap(),
    )
    .unwrap())
}

/// UDP, [fd00::1]:5000 to [fd00::2]:53.
fn udp6() -> Flow {
    of(Tuple::udp(
        "[fd00::1]:5000".parse().unwrap(),
        "[fd00::2]:53".parse().unwrap(),
    )
    .unwrap())
}

fn of(orig: Tuple) -> Flow {
    Flow::new(orig, orig.inverse())
}
